"""What the report shows, part by part, as plain values; how it looks is the templates' business."""
