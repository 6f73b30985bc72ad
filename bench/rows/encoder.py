"""A model whose requests have many lengths: MiniLM and real sentences in random
order, served by our worker, beside the best loop that one could write without it,
which has all sentences at hand and sorts them.
"""
import concurrent.futures
import json
import os
import random
import struct

from harness import stubs
from harness.forward import SortedSentences, mean_size
from harness.peers import MINILM, find
from harness.processes import ROOT
from harness.serving import NAME, counted, make_models, torch_worker
from harness.tables import Goal, Section, us
from harness.windows import Cell, Load, Subject

SENTENCES = os.path.join(ROOT, "bench/data/sentences.txt")
SERVED, CASE = "worker", "sentences"
IN_FLIGHT, CONNECTIONS = 64, 8
OFFLINE_ROWS = (4, 8, 16, 32, 64)
# Windows are so many times as long as others': all sentences should come several
# times in each.
SECONDS = 5
WIDTH = 384
CONFIG = f"""
name: "{NAME}"
platform: "pytorch_libtorch"
max_batch_size: 1
input {{ name: "input_ids" data_type: TYPE_INT64 dims: -1 }}
input {{ name: "attention_mask" data_type: TYPE_INT64 dims: -1 }}
output {{ name: "sentence_embedding" data_type: TYPE_FP32 dims: {WIDTH} }}
output {{ name: "ran_at" data_type: TYPE_INT64 dims: 1 }}
"""


def _messages(pb, path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            ids = json.loads(line)["input_ids"][0]
            tensors = [pb.ModelInferRequest.InferInputTensor(name=name, datatype="INT64",
                                                             shape=[1, len(ids)])
                       for name in ("input_ids", "attention_mask")]
            yield pb.ModelInferRequest(model_name=NAME, inputs=tensors, raw_input_contents=[
                struct.pack(f"<{len(ids)}q", *ids), struct.pack(f"<{len(ids)}q", *[1] * len(ids))])


def _padding(address, requests):
    """The share of the elements that were padding, as answers tell at which length
    each sentence was run, with as many in flight as in the windows. A sentence's
    embedding must be the same in whatever company it was run."""
    grpc, pb, services = stubs.inference()
    messages = list(_messages(pb, requests))
    order = [n for seed in (1, 2) for n in
             random.Random(seed).sample(range(len(messages)), len(messages))]
    with grpc.insecure_channel(address) as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as callers:
            answers = list(callers.map(lambda n: stub.ModelInfer(messages[n], timeout=60), order))
    own = ran = 0
    embeddings = {}
    for place, (n, answer) in enumerate(zip(order, answers)):
        embedding = struct.unpack(f"<{WIDTH}f", answer.raw_output_contents[0])
        first = embeddings.setdefault(n, embedding)
        if max(abs(a - b) for a, b in zip(first, embedding)) > 1e-4:
            raise RuntimeError(f"sentence {n} has another embedding among others")
        # The last ones have fewer beside them.
        if place < len(order) - IN_FLIGHT:
            own += messages[n].inputs[0].shape[1]
            ran += struct.unpack("<q", answer.raw_output_contents[1])[0]
    return 1 - own / ran


def _offline(model, tokens, seconds):
    """The best loop, once all have been tried."""
    loops = [SortedSentences(model, tokens, rows) for rows in OFFLINE_ROWS]
    return min(loops, key=lambda loop: loop.run(None, seconds, "sentences")["cpu_us"])


def measure(bench):
    title = "Sentences of many lengths: MiniLM, 64 in flight, random order; µs of a core a sentence"
    with bench.servers():
        folder = bench.folder()
        weights = find(MINILM, "model.safetensors")
        make_models(folder, "encoder", os.path.dirname(weights), SENTENCES)
        model, tokens, requests = (os.path.join(folder, name)
                                   for name in ("model.pt", "tokens", "requests"))
        offline = _offline(model, tokens, bench.seconds)
        server = bench.keep(torch_worker(os.path.join(folder, "models"), model, CONFIG))
        padding = _padding(server.address, requests)
        loop = f"sorted, {offline.rows} at a time"
        windows = bench.take_turns(
            [Subject(SERVED, server.address, {"worker": server}, batches=counted(server.address)),
             Subject(loop, None, {})],
            [Cell(SERVED, CASE, Load(NAME, IN_FLIGHT, CONNECTIONS,
                                     more=("--requests", requests, "--shuffle"))),
             Cell(loop, CASE, offline)], SECONDS * bench.seconds)
    share = windows.ratio((SERVED, CASE), (loop, CASE), "calls_per_second")
    lines = [[SERVED, us(windows.median(SERVED, CASE)),
              f"{windows.median(SERVED, CASE, 'calls_per_second'):.1f}", f"{share:.2f}",
              f"{100 * padding:.1f}", f"{windows.by_turn(_mean_batch):.1f}"],
             [loop, us(windows.median(loop, CASE)),
              f"{windows.median(loop, CASE, 'calls_per_second'):.1f}", "1.00",
              f"{100 * windows.median(loop, CASE, 'padding'):.1f}", str(offline.rows)]]
    goals = [Goal(f"{SERVED} ÷ the best loop, sentences/s", share, 0.85, at_least=True),
             Goal(f"{SERVED}, padding of all elements", padding, 0.10)]
    return Section(title, ["", "CPU", "sentences/s", "÷ offline", "padding, %", "mean batch"],
                   lines, goals, disturbed=windows.disturbed())


def _mean_batch(of):
    return mean_size(of(SERVED, CASE, "batches"))
