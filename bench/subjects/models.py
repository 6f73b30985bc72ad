#!/usr/bin/env python3
"""Makes the models that the worker's rows serve, as TorchScript.

  models.py sum FOLDER          model.pt: the sum of 784 floats
  models.py mlp FOLDER          model.pt: 784-512-512-10, ReLU, softmax
  models.py encoder FOLDER MODEL SENTENCES
                                model.pt: MiniLM of that folder; tokens: each
                                sentence's ids, a line each; requests: the same as
                                `torchfleet load --requests` reads them

For the first two also check.json: floats, and what the model makes of them.
"""
import json
import os
import sys

import torch
from torch import nn

import encoder

WIDTH = 784


class Sum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(-1, keepdim=True)


def mlp():
    return nn.Sequential(nn.Linear(WIDTH, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Linear(512, 10), nn.Softmax(-1))


def save(folder, model):
    torch.jit.script(model.eval()).save(os.path.join(folder, "model.pt"))


def save_with_check(folder, model):
    save(folder, model)
    floats = torch.rand(1, WIDTH)
    with torch.inference_mode(), open(os.path.join(folder, "check.json"), "w",
                                      encoding="utf-8") as file:
        json.dump({"floats": floats[0].tolist(), "expected": model(floats)[0].tolist()}, file)


def save_encoder(folder, model_folder, sentences):
    save(folder, encoder.load(model_folder))
    pieces = encoder.WordPiece(model_folder)
    with open(sentences, encoding="utf-8") as file:
        all_ids = [pieces.ids(line) for line in file if line.strip()]
    with open(os.path.join(folder, "tokens"), "w", encoding="utf-8") as file:
        file.writelines(" ".join(map(str, ids)) + "\n" for ids in all_ids)
    with open(os.path.join(folder, "requests"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"input_ids": [ids], "attention_mask": [[1] * len(ids)]}) + "\n"
                        for ids in all_ids)


def main():
    torch.manual_seed(1)
    kind, folder = sys.argv[1:3]
    if kind == "encoder":
        save_encoder(folder, *sys.argv[3:])
    else:
        save_with_check(folder, {"sum": Sum, "mlp": mlp}[kind]())


if __name__ == "__main__":
    main()
