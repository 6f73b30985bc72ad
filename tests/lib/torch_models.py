"""Small PyTorch models with the architectures people serve, seeded, and what is
known of each: its file `config.pbtxt`, requests for it and its own answers.

    case = CASES["encoder"]
    case.write(repository)
    inputs = case.ask(rows=3)
    case.check(inputs, case.expected(inputs), outputs)

Inputs and outputs are dictionaries of tensors by name; strings are a list of rows.
"""
import os
import random

import torch
from torch import nn
from typing import Dict, List, Optional, Tuple

# More threads than one only wait for one another beside a worker's.
torch.set_num_threads(1)
# How far a batch's floats may be from the same rows alone.
NEAR = {torch.float32: (1e-4, 1e-5), torch.float16: (2e-3, 2e-3), torch.bfloat16: (2e-2, 2e-2)}


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.5),
                                    nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 5))

    def forward(self, x):
        return self.layers(x)


class ImageNet(nn.Module):
    """Convolutions, batch norms with statistics of their own, a residual."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(True))
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 10)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -1, 1)
                nn.init.uniform_(module.running_var, 0.5, 2)

    def forward(self, image):
        x = self.stem(image)
        x = torch.relu(x + self.block(x))
        return torch.softmax(self.head(x.mean(dim=[2, 3])), 1)


class Lstm(nn.Module):
    """Two layers, both directions; of each row only as many steps as `lengths` says."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True,
                                                   enforce_sorted=False)
        steps, (last, _) = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(steps, batch_first=True,
                                                     total_length=x.size(1))
        return padded, last[-1]


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 8, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0][:, -1]


class Encoder(nn.Module):
    """As BERT is made."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(100, 32), nn.Embedding(64, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pool = nn.Linear(32, 16)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.places(torch.arange(input_ids.size(1)))
        hidden = self.layers(x, src_key_padding_mask=attention_mask == 0)
        return hidden, torch.tanh(self.pool(hidden[:, 0]))


class OwnMask(nn.Module):
    """Knows its padding by an id of its own, 1, as RoBERTa does."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)

    def forward(self, ids):
        mask = (ids != 1).unsqueeze(2)
        return (self.words(ids) * mask).sum(1) / mask.sum(1)


class Dictionary(nn.Module):
    def forward(self, tensors: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
        left, right = tensors["left"], tensors["right"]
        return {"sum": left + right, "product": left * right, "left": left}


class Several(nn.Module):
    """A tuple of every kind of number."""

    def forward(self, x) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        values, places = x.sort(dim=1)
        return values, places, x > 0, (x.abs() * 50).to(torch.uint8)


class Scalars(nn.Module):
    """One number a row in and out, without a dimension for it."""

    def forward(self, price, count):
        assert price.dim() == 1 and count.dim() == 1
        return price * count, count + 1


class Optionals(nn.Module):
    def forward(self, x, scale: Optional[torch.Tensor] = None, plus: float = 0.5):
        return x + plus if scale is None else x * scale + plus


class Texts(nn.Module):
    """Strings are bytes in TorchScript: nothing here counts or cuts letters."""

    def forward(self, left: List[str], right: List[str]) -> List[str]:
        result: List[str] = []
        for i in range(len(left)):
            result.append(right[i] + "|" + left[i].replace("a", "A"))
        return result


class Words(nn.Module):
    """Texts in, numbers and texts out."""

    def forward(self, text: List[str]) -> Tuple[torch.Tensor, List[str]]:
        counts: List[int] = []
        marked: List[str] = []
        for one in text:
            counts.append(one.count("a"))
            marked.append(one + "!")
        return torch.tensor(counts, dtype=torch.int64).unsqueeze(1), marked


class Half(nn.Module):
    def forward(self, x):
        return x * 2 + 1, (x.float() / 3).to(x.dtype)


def floats(*shape):
    return torch.randn(*shape)


def texts(rows):
    """Also empty ones, and such that are no ASCII."""
    letters = "abc  é漢"
    return [["".join(random.choice(letters) for _ in range(random.randrange(9)))]
            for _ in range(rows)]


def sequence(rows, length):
    return {"x": floats(rows, length, 6), "lengths": torch.full((rows, 1), length)}


def sentence(rows, length):
    return {"input_ids": torch.randint(1, 100, (rows, length)),
            "attention_mask": torch.ones(rows, length, dtype=torch.int64)}


TYPES = {torch.float32: "FP32", torch.float16: "FP16", torch.bfloat16: "BF16",
         torch.int64: "INT64", torch.bool: "BOOL", torch.uint8: "UINT8", list: "BYTES"}


class Case:
    """One model. `inputs` and `outputs`: (name, type, dims, more fields) each."""

    def __init__(self, module, inputs, outputs, ask, optional=(), save=torch.jit.script):
        torch.manual_seed(7)
        self.module = module().eval()
        self.inputs, self.outputs, self.make, self.save = inputs, outputs, ask, save
        self.optional = optional

    def ask(self, rows):
        """Inputs of a request, other ones each time."""
        inputs = self.make(rows)
        for name in self.optional:
            if random.random() < 0.5:
                del inputs[name]
        return inputs

    def config(self, extra="", max_batch=16):
        text = f'backend: "pytorch"\nmax_batch_size: {max_batch}\n{extra}\n'
        for kind, tensors in (("input", self.inputs), ("output", self.outputs)):
            for name, datatype, dims, *more in tensors:
                config = "STRING" if datatype is list else TYPES[datatype]
                text += (f'{kind} [ {{ name: "{name}" data_type: TYPE_{config} dims: {list(dims)} '
                         f'{" ".join(more)} }} ]\n')
        return text

    def write(self, repository, name, extra="", max_batch=16, save=True):
        """`save`: false where nobody comes to load it."""
        folder = os.path.join(repository, name, "1")
        os.makedirs(folder)
        file = os.path.join(folder, "model.pt")
        if save:
            self.save(self.module).save(file)
        else:
            open(file, "wb").close()
        with open(os.path.join(repository, name, "config.pbtxt"), "w", encoding="utf-8") as file:
            file.write(self.config(extra, max_batch))

    def expected(self, inputs):
        """What PyTorch itself answers, in the shapes of the wire."""
        shaped = {}
        for name, _, _, *more in self.inputs:
            if name in inputs:
                value = inputs[name]
                flat = any("reshape" in field for field in more)
                shaped[name] = ([row[0] for row in value] if isinstance(value, list) else
                                value[:, 0] if flat else value)
        with torch.inference_mode():
            if isinstance(self.module, Dictionary):
                result = self.module(shaped)
            else:
                values = self.module(*[shaped.get(name) for name, *_ in self.inputs])
                values = values if isinstance(values, tuple) else (values,)
                result = dict(zip([name for name, *_ in self.outputs], values))
        for name, _, _, *more in self.outputs:
            if isinstance(result[name], list):
                result[name] = [[text] for text in result[name]]
            elif any("reshape" in field for field in more):
                result[name] = result[name].unsqueeze(1)
        return result

    def check(self, expected, got):
        """Floats within NEAR, all else exactly."""
        assert set(got) == {name for name, *_ in self.outputs}
        for name, value in got.items():
            if isinstance(value, list):
                assert value == expected[name]
            else:
                rtol, atol = NEAR.get(value.dtype, (0, 0))
                torch.testing.assert_close(value, expected[name], rtol=rtol, atol=atol)


class Faulty(nn.Module):
    """Answers some rows with what it should not: an id over 9 is out of range."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 3)

    def forward(self, ids):
        return self.words(ids)


class Mean(nn.Module):
    """Over the batch: what it gives has no rows."""

    def forward(self, x):
        return x.mean(0)


class Flat(nn.Module):
    def forward(self, x):
        return x.flatten(1)


class Spins(nn.Module):
    """Takes as long as the request says."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(192))

    def forward(self, x):
        y = self.weight
        for _ in range(int(x[0, 0])):
            y = y.mm(self.weight)
        return x + y[0, 0]


def doubled(x):
    return x * 2


class Forks(nn.Module):
    def forward(self, x):
        futures = [torch.jit.fork(doubled, x), torch.jit.fork(doubled, x + 1)]
        return torch.jit.wait(futures[0]) + torch.jit.wait(futures[1])


F, I = torch.float32, torch.int64
SCALAR = "reshape { shape: [ ] }"
CASES = {
    "mlp": Case(Mlp, [("INPUT__0", F, [20])], [("OUTPUT__0", F, [5])],
                lambda n: {"INPUT__0": floats(n, 20)}),
    "image": Case(ImageNet, [("image", F, [3, 32, 32])], [("classes", F, [10])],
                  lambda n: {"image": floats(n, 3, 32, 32)},
                  save=lambda m: torch.jit.freeze(torch.jit.trace(m, floats(1, 3, 32, 32)))),
    "lstm": Case(Lstm, [("x", F, [-1, 6]), ("lengths", I, [1], SCALAR)],
                 [("steps", F, [-1, 16]), ("last", F, [8])],
                 lambda n: {"x": floats(n, 7, 6), "lengths": torch.randint(1, 8, (n, 1))}),
    "gru": Case(Gru, [("x", F, [-1, 4])], [("last", F, [8])],
                lambda n: {"x": floats(n, random.choice([3, 5]), 4)}),
    "encoder": Case(Encoder, [("input_ids", I, [-1]), ("attention_mask", I, [-1])],
                    [("last_hidden_state", F, [-1, 32]), ("pooled", F, [16])],
                    lambda n: sentence(n, random.choice([4, 9]))),
    "dictionary": Case(Dictionary, [("right", F, [3]), ("left", F, [3])],
                       [("product", F, [3]), ("sum", F, [3])],
                       lambda n: {"left": floats(n, 3), "right": floats(n, 3)}),
    "several": Case(Several, [("x", F, [4])],
                    [("OUTPUT__0", F, [4]), ("OUTPUT__1", I, [4]),
                     ("OUTPUT__2", torch.bool, [4]), ("OUTPUT__3", torch.uint8, [4])],
                    lambda n: {"x": floats(n, 4)}),
    "scalars": Case(Scalars, [("price", F, [1], SCALAR), ("count", I, [1], SCALAR)],
                    [("total", F, [1], SCALAR), ("next", I, [1], SCALAR)],
                    lambda n: {"price": floats(n, 1), "count": torch.randint(9, (n, 1))}),
    "optionals": Case(Optionals, [("x", F, [4]), ("scale", F, [4], "optional: true")],
                      [("y", F, [4])], lambda n: {"x": floats(n, 4), "scale": floats(n, 4)},
                      optional=("scale",)),
    "texts": Case(Texts, [("left", list, [1]), ("right", list, [1])], [("both", list, [1])],
                  lambda n: {"left": texts(n), "right": texts(n)}),
    "words": Case(Words, [("text", list, [1])], [("count", I, [1]), ("marked", list, [1])],
                  lambda n: {"text": texts(n)}),
    "fp16": Case(Half, [("x", torch.float16, [5])],
                 [("y", torch.float16, [5]), ("third", torch.float16, [5])],
                 lambda n: {"x": floats(n, 5).half()}),
    "bf16": Case(Half, [("x", torch.bfloat16, [5])],
                 [("y", torch.bfloat16, [5]), ("third", torch.bfloat16, [5])],
                 lambda n: {"x": floats(n, 5).bfloat16()}),
}
# Those whose rows differ in length; `ask` makes up one.
ENCODER = Case(Encoder, [("input_ids", I, [-1]), ("attention_mask", I, [-1])],
               [("last_hidden_state", F, [-1, 32]), ("pooled", F, [16])],
               lambda n: sentence(n, random.randint(1, 40)))
SEQUENCE = Case(Lstm, [("x", F, [-1, 6]), ("lengths", I, [1], SCALAR)],
                [("steps", F, [-1, 16]), ("last", F, [8])],
                lambda n: sequence(n, random.randint(1, 12)))
OWN_MASK = Case(OwnMask, [("ids", I, [-1])], [("mean", F, [8])],
                lambda n: {"ids": torch.randint(2, 50, (n, random.randint(1, 30)))})
# Those that something is wrong with, or with what is asked.
FAULTY = Case(Faulty, [("ids", I, [2])], [("y", F, [2, 3])],
              lambda n: {"ids": torch.randint(10, (n, 2))})
MEAN = Case(Mean, [("x", F, [4])], [("y", F, [4])], lambda n: {"x": floats(n, 4)})
FLAT = Case(Flat, [("x", F, [-1, 2])], [("y", F, [2, 2], "reshape { shape: [ 4 ] }")],
            lambda n: {"x": floats(n, 2, 2)})
