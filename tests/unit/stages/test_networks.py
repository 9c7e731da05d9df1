import torch

from mia_pruning.stages.networks import build_seeded, read_models, write_models

MODEL = {"use": "lenet5", "channels": [2, 3], "hidden": 8}
ERM = {"use": "erm"}


def weights(seed, row):
    return build_seeded({"model": MODEL, "objective": ERM}, (16, 16, 1), 3, seed, row).state_dict()


def test_initial_weights_depend_on_seed_and_row_alone():
    first = weights(0, 1)
    torch.rand(5)
    for name, value in weights(0, 1).items():
        assert torch.equal(value, first[name])
    assert not torch.equal(weights(0, 2)["fc1.weight"], first["fc1.weight"])
    assert not torch.equal(weights(1, 1)["fc1.weight"], first["fc1.weight"])


def test_building_does_not_disturb_torchs_generator():
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    weights(0, 1)
    assert torch.equal(torch.rand(4), wanted)


def test_networks_are_channels_last():
    weight = build_seeded(
        {"model": {**MODEL, "channels": [2, 3]}, "objective": ERM}, (16, 16, 3), 3, 0, 0
    ).conv2.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_models_of_several_files_are_read_by_row(tmp_path):
    for number, rows in enumerate([(0, 1), (10,)]):
        models = {row: {"weights/w": torch.full((2,), float(row))} for row in rows}
        write_models(str(tmp_path / f"{number}.safetensors"), models, {"rule": "r"})
    found = read_models(*(str(tmp_path / f"{number}.safetensors") for number in (0, 1)))
    assert {row: tensors["weights/w"].tolist() for row, tensors in found.items()} == {
        0: [0, 0],
        1: [1, 1],
        10: [10, 10],
    }
