"""MiniLM as TorchScript, and its tokens, from the files of a package that holds
both: BERT's layers and WordPiece as their papers give them, so that nothing else
need be installed.
"""
import json
import os
import struct
import unicodedata
from typing import Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, HEADS, WIDTH, INNER, EPSILON = 6, 12, 384, 1536, 1e-12


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.dense = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.attention_norm = nn.LayerNorm(WIDTH, EPSILON)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.output_norm = nn.LayerNorm(WIDTH, EPSILON)

    def heads(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), 12, 32).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        seen = functional.scaled_dot_product_attention(
            self.heads(self.query(x)), self.heads(self.key(x)), self.heads(self.value(x)), mask)
        x = self.attention_norm(x + self.dense(seen.transpose(1, 2).reshape(x.shape)))
        return self.output_norm(x + self.down(functional.gelu(self.up(x))))


class Encoder(nn.Module):
    """Token ids and mask, [batch, length], to an embedding of length one for each
    sentence, and to the length at which it was run: its batch's."""

    def __init__(self, words, positions):
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.kinds = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tuple[Tensor, Tensor]:
        length = input_ids.size(1)
        x = self.norm(self.words(input_ids) + self.positions.weight[:length] +
                      self.kinds.weight[0])
        mask = (attention_mask > 0).view(-1, 1, 1, length)
        for layer in self.layers:
            x = layer(x, mask)
        weight = attention_mask.unsqueeze(-1).to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        ran_at = torch.full([input_ids.size(0), 1], length, dtype=torch.long)
        return functional.normalize(mean, dim=1), ran_at


# Names of the file's tensors, by ours.
_NAMES = {"words": "embeddings.word_embeddings", "positions": "embeddings.position_embeddings",
          "kinds": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm"}
_LAYER = {"query": "attention.self.query", "key": "attention.self.key",
          "value": "attention.self.value", "dense": "attention.output.dense",
          "attention_norm": "attention.output.LayerNorm", "up": "intermediate.dense",
          "down": "output.dense", "output_norm": "output.LayerNorm"}


def read_safetensors(path):
    """The FP32 tensors of a file: a length, JSON that says where each is, bytes."""
    with open(path, "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    return {name: torch.frombuffer(data, dtype=torch.float32, offset=at["data_offsets"][0],
                                   count=(at["data_offsets"][1] - at["data_offsets"][0]) // 4
                                   ).view(at["shape"])
            for name, at in head.items() if name != "__metadata__" and at["dtype"] == "F32"}


def load(folder):
    """The encoder of a model folder as Hugging Face lays it out."""
    found = read_safetensors(os.path.join(folder, "model.safetensors"))
    names = dict(_NAMES)
    for n in range(LAYERS):
        names.update({f"layers.{n}.{ours}": f"encoder.layer.{n}.{theirs}"
                      for ours, theirs in _LAYER.items()})
    words, positions = (found[f"{_NAMES[name]}.weight"].shape[0] for name in ("words", "positions"))
    encoder = Encoder(words, positions).eval()
    state = {}
    for name in encoder.state_dict():
        module, part = name.rsplit(".", 1)
        state[name] = found[f"{names[module]}.{part}"]
    encoder.load_state_dict(state)
    return encoder


class WordPiece:
    """Lower case, without accents, split at blanks and punctuation; then the longest
    known beginning of what is left of a word, again and again."""

    def __init__(self, folder):
        with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
            self._ids = {line.rstrip("\n"): n for n, line in enumerate(file)}

    @staticmethod
    def _words(text):
        bare = "".join(c for c in unicodedata.normalize("NFD", text.lower())
                       if unicodedata.category(c) != "Mn")
        # ASCII's symbols count as punctuation too.
        return "".join(c if c.isalnum() or c.isspace() or
                       (ord(c) > 127 and not unicodedata.category(c).startswith("P"))
                       else f" {c} " for c in bare).split()

    def _pieces(self, word):
        ids, begin = [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            end = next((end for end in range(len(word), begin, -1)
                        if prefix + word[begin:end] in self._ids), None)
            if end is None:
                return [self._ids["[UNK]"]]
            ids.append(self._ids[prefix + word[begin:end]])
            begin = end
        return ids

    def ids(self, text):
        inner = [number for word in self._words(text) for number in self._pieces(word)]
        return [self._ids["[CLS]"], *inner, self._ids["[SEP]"]]
