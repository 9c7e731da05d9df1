"use strict";
// What a browser with scripts adds to the page: tables that sort, filter and download, figures that answer who points at them. Without it all is there to read.

const dark = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", () => document.documentElement.classList.toggle("dark", dark.matches));

const ROWS_A_PAGE = 50;
const tables = [...document.querySelectorAll("table.data")].map((table) => {
  const rows = table.tBodies[0].rows.length;
  return new DataTable(table, {
    autoWidth: false,
    order: [],
    paging: rows > ROWS_A_PAGE && !table.classList.contains("whole"),
    pageLength: ROWS_A_PAGE,
    info: rows > ROWS_A_PAGE,
    layout: {
      topStart: { buttons: [{ extend: "csv", text: "CSV", filename: table.id, title: null, titleAttr: "Download the rows that the filter leaves, as CSV" }] },
      topEnd: { search: { placeholder: "filter rows" } },
    },
  });
});

const KEPT = 60_000; // milliseconds
function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT); // a busy browser fetches it late
}

function bytes(address) {
  return Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
}

function png(image) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return bytes(canvas.toDataURL("image/png"));
}

const dialog = document.querySelector("dialog");
for (const figure of document.querySelectorAll("figure[data-name]")) {
  const name = figure.dataset.name, image = figure.querySelector("img");
  const act = {
    svg: () => save(`${name}.svg`, bytes(image.src), "image/svg+xml"),
    png: () => save(`${name}.png`, png(image), "image/png"),
    csv: () => save(`${name}.csv`, JSON.parse(figure.querySelector(".table").textContent), "text/csv"),
    enlarge: () => {
      dialog.querySelector("img").src = image.src;
      dialog.querySelector("img").alt = image.alt;
      dialog.showModal();
    },
  };
  for (const button of figure.querySelectorAll("button")) {
    button.hidden = false;
    button.addEventListener("click", act[button.dataset.act]);
  }
  for (const link of figure.querySelectorAll(".downloads a.replaced")) link.hidden = true;
}

const INK = "#1c2430";
const PLOT_HEIGHT = 340, LEGEND_LINE = 20, LEGEND_WIDTH = 180; // pixels; of one entry
function draw(figure) {
  const panels = JSON.parse(figure.querySelector(".interactive").textContent);
  const place = figure.querySelector(".panels");
  place.hidden = false;
  for (const _ of panels) place.appendChild(document.createElement("div")).className = "panel";
  for (const [number, { data, layout }] of panels.entries()) {
    const named = data.filter((trace) => trace.name && trace.showlegend !== false).length;
    const panel = place.children[number];
    panel.style.height = `${PLOT_HEIGHT + LEGEND_LINE * Math.ceil(named / Math.max(1, Math.floor(panel.clientWidth / LEGEND_WIDTH)))}px`;
    const axis = { automargin: true, linecolor: INK, ticks: "outside", gridcolor: "#e3e7ec" };
    Plotly.newPlot(
      panel, // all are there by now: each has the width that it keeps
      data,
      {
        ...layout,
        title: { ...layout.title, font: { size: 14 }, x: 0, xanchor: "left" },
        xaxis: { ...axis, ...layout.xaxis },
        yaxis: { ...axis, ...layout.yaxis },
        font: { family: "system-ui, sans-serif", size: 13, color: INK },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        margin: { t: 40, r: 10, b: 40, l: 40 },
        legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", font: { size: 11 } },
        hovermode: "closest",
      },
      { responsive: true, displayModeBar: false },
    );
  }
  figure.querySelector("img").hidden = true;
}

// Plots are drawn when they come near: a page of hundreds of defences opens at once.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) {
      near.unobserve(target);
      draw(target);
    }
  }
}, { rootMargin: "600px" });
for (const script of document.querySelectorAll("script.interactive")) near.observe(script.closest("figure"));

// On paper nothing can be opened or turned over.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
  for (const table of tables) table.page.len(-1).draw();
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  for (const table of tables) table.page.len(ROWS_A_PAGE).draw();
});
