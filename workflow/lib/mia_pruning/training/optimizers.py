"""The optimisers that a `training` section may name, all torch's own and fused: one pass over memory a step."""

from torch.optim import SGD, Adam, AdamW

OPTIMIZERS = {
    "adam": lambda parameters, recipe: Adam(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True),
    "adamw": lambda parameters, recipe: AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True),
    "sgd": lambda parameters, recipe: SGD(
        parameters,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        fused=True,
    ),
}
