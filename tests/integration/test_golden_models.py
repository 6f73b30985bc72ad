"""Workers with PyTorch models of many kinds: every answer is PyTorch's own, alone
and in batches of several callers, and the caller's own."""
import random

import pytest
import torch

import fleet as lib
from torch_calls import (ask, ask_all, batch_sizes, failure, metric, outputs, refusal, request,
                         start_worker, statistics)
from torch_models import CASES, ENCODER, FAULTY, FLAT, MEAN, OWN_MASK, SEQUENCE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
# So long that batches form however slowly the calls come.
BATCHED = "dynamic_batching { max_queue_delay_microseconds: 20000 }"


@pytest.fixture(autouse=True)
def seeds():
    random.seed(11)
    torch.manual_seed(11)


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_of_pytorch(fleet, name):
    case = CASES[name]
    case.write(fleet.repository, name, BATCHED)
    worker = start_worker(fleet, name)
    for rows in (1, 2, 16):
        inputs = case.ask(rows)
        response = ask(worker, request(name, inputs, "alone"))
        assert (response.id, response.model_name, response.model_version) == ("alone", name, "1")
        case.check(case.expected(inputs), outputs(response))
    alone = statistics(worker, name)
    assert (alone.execution_count, alone.inference_count) == (3, 19)

    all_inputs = [case.ask(random.randint(1, 5)) for _ in range(60)]
    answers = ask_all(worker, [request(name, inputs, f"call-{i}")
                               for i, inputs in enumerate(all_inputs)])
    rows = 0
    for i, (inputs, answer) in enumerate(zip(all_inputs, answers)):
        assert answer.id == f"call-{i}"
        case.check(case.expected(inputs), outputs(answer))
        rows += answer.outputs[0].shape[0]
    counted = statistics(worker, name)
    assert counted.inference_count - alone.inference_count == rows
    assert counted.execution_count - alone.execution_count < 45
    assert max(batch_sizes(worker, name)) <= 16


def parameters(**values):
    return BATCHED + "".join(f' parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
                             for key, value in values.items())


def ask_in_batches(worker, name, case, asked, sent=None):
    """All at once, each `sent` as asked or with less; returns the padding's part of
    the elements. Fails unless every answer is PyTorch's and batches were formed."""
    sent = sent or asked
    answers = ask_all(worker, [request(name, inputs, str(i)) for i, inputs in enumerate(sent)])
    for i, (inputs, answer) in enumerate(zip(asked, answers)):
        assert answer.id == str(i)
        case.check(case.expected(inputs), outputs(answer))
    assert statistics(worker, name).execution_count < len(asked)
    assert metric(worker, "torchfleet_worker_apart_total") == 0
    return (metric(worker, "torchfleet_worker_padding_total")
            / metric(worker, "torchfleet_worker_elements_total"))


PADDED = {"PADDED_INPUTS": "input_ids:1", "PADDED_OUTPUTS": "last_hidden_state:1",
          "MASK_INPUT": "attention_mask"}


@pytest.mark.parametrize("percent", [None, "0", "25", "60"])
def test_sentences_of_many_lengths_share_batches(fleet, percent):
    bound = {} if percent is None else {"MAX_PADDING_PERCENT": percent}
    ENCODER.write(fleet.repository, "encoder", parameters(**PADDED, **bound))
    worker = start_worker(fleet, "encoder")
    asked = [ENCODER.ask(random.randint(1, 3)) for _ in range(80)]
    # A caller pads by itself what differs inside its request.
    for inputs in asked[::4]:
        inputs["attention_mask"][-1, 1 + inputs["attention_mask"].size(1) // 2:] = 0
    # A mask of nothing but ones need not be sent.
    sent = [{"input_ids": inputs["input_ids"]} if i % 4 and i % 3 else inputs
            for i, inputs in enumerate(asked)]
    part = ask_in_batches(worker, "encoder", ENCODER, asked, sent)
    assert part <= float(percent or 10) / 100
    assert part > 0 or percent == "0"


def test_a_sequence_is_run_for_as_long_as_it_is(fleet):
    rules = {"PADDED_INPUTS": "x:1", "PADDED_OUTPUTS": "steps:1", "MAX_PADDING_PERCENT": "50"}
    SEQUENCE.write(fleet.repository, "lstm", parameters(**rules, LENGTHS_INPUT="lengths"))
    worker = start_worker(fleet, "lstm")
    asked = [SEQUENCE.ask(random.randint(1, 4)) for _ in range(60)]
    sent = [{"x": inputs["x"]} if i % 2 else inputs for i, inputs in enumerate(asked)]
    assert 0 < ask_in_batches(worker, "lstm", SEQUENCE, asked, sent) <= 0.5


def test_padding_is_of_the_value_that_the_model_knows(fleet):
    rules = {"PADDED_INPUTS": "ids:1", "MAX_PADDING_PERCENT": "80", "PADDING_VALUES": "ids:1"}
    OWN_MASK.write(fleet.repository, "own", parameters(**rules))
    worker = start_worker(fleet, "own")
    asked = [OWN_MASK.ask(1) for _ in range(60)]
    assert ask_in_batches(worker, "own", OWN_MASK, asked) > 0.1


@pytest.mark.parametrize("values, says", [
    ({"MASK_INPUT": "attention_mask"}, "MASK_INPUT is there without PADDED_INPUTS"),
    ({"MAX_PADDING_PERCENT": "10"}, "MAX_PADDING_PERCENT is there without PADDED_INPUTS"),
    ({**PADDED, "PADDED_INPUTS": "input_id:1"}, "PADDED_INPUTS names 'input_id'"),
    ({**PADDED, "PADDED_INPUTS": "input_ids"}, "PADDED_INPUTS has 'input_ids'; expected <tensor>:"),
    ({**PADDED, "PADDED_INPUTS": "input_ids:0"}, "PADDED_INPUTS has 'input_ids:0'; expected a dim"),
    ({**PADDED, "PADDED_INPUTS": "input_ids:2"}, "PADDED_INPUTS has 'input_ids:2'; expected a dim"),
    ({**PADDED, "PADDED_INPUTS": "input_ids:1.5"}, "PADDED_INPUTS has 'input_ids:1.5'; expected"),
    ({**PADDED, "PADDED_INPUTS": "input_ids:nan"}, "PADDED_INPUTS has 'input_ids:nan'; expected"),
    ({**PADDED, "PADDED_INPUTS": "input_ids:1e300"}, "PADDED_INPUTS has 'input_ids:1e300'"),
    ({**PADDED, "PADDED_OUTPUTS": "pooled:1"}, "PADDED_OUTPUTS has 'pooled:1'; expected a dim"),
    ({**PADDED, "PADDED_OUTPUTS": "hidden:1"}, "PADDED_OUTPUTS names 'hidden'"),
    ({**PADDED, "MASK_INPUT": "mask"}, "MASK_INPUT names 'mask'"),
    ({**PADDED, "LENGTHS_INPUT": "input_ids"}, "LENGTHS_INPUT is 'input_ids', INT64 [-1,-1]"),
    ({**PADDED, "PADDING_VALUES": "input_ids:x"}, "PADDING_VALUES has 'x'; expected a number"),
    ({**PADDED, "PADDING_VALUES": "input_ids:0.5"}, "PADDING_VALUES has 0.5 for"),
    ({**PADDED, "PADDING_VALUES": "input_ids:1e30"}, "PADDING_VALUES has 1e+30 for"),
    ({**PADDED, "PADDING_VALUES": "input_ids:nan"}, "PADDING_VALUES has nan for"),
    ({**PADDED, "MAX_PADDING_PERCENT": "100"}, "MAX_PADDING_PERCENT is 100; expected 0 to 99"),
    ({**PADDED, "MAX_PADDING_PERCENT": "ten"}, "MAX_PADDING_PERCENT has 'ten'"),
    ({"INTRA_OP_THREAD_COUNT": "many"}, "INTRA_OP_THREAD_COUNT is 'many'"),
    ({"INTER_OP_THREAD_COUNT": "0"}, "INTER_OP_THREAD_COUNT is '0'"),
    ({"INFERENCE_MODE": "perhaps"}, "INFERENCE_MODE is 'perhaps'; expected true or false"),
])
def test_rules_that_contradict_the_model_end_the_start(fleet, values, says):
    ENCODER.write(fleet.repository, "encoder", parameters(**values), save=False)
    said = refusal(fleet, "encoder", "torchfleet-fake-worker")
    assert says in said and "frame #" not in said


def test_one_request_that_fails_leaves_the_others_of_its_batch(fleet):
    FAULTY.write(fleet.repository, "faulty", BATCHED)
    worker = start_worker(fleet, "faulty")
    asked = [FAULTY.ask(1) for _ in range(40)]
    poisoned = range(5, 40, 9)
    for i in poisoned:
        asked[i]["ids"][0, 1] = 10
    answers = ask_all(worker, [request("faulty", inputs, str(i)) for i, inputs in enumerate(asked)])
    for i, (inputs, answer) in enumerate(zip(asked, answers)):
        if i in poisoned:
            assert answer.code() == lib.grpc.StatusCode.INTERNAL
            assert answer.details() == "the model failed on this input"
        else:
            assert answer.id == str(i)
            FAULTY.check(FAULTY.expected(inputs), outputs(answer))
    assert metric(worker, "torchfleet_worker_apart_total") > 0


def test_no_rows_and_too_many(fleet):
    case = CASES["mlp"]
    case.write(fleet.repository, "mlp", BATCHED)
    worker = start_worker(fleet, "mlp")
    none = {"INPUT__0": torch.empty(0, 20)}
    assert outputs(ask(worker, request("mlp", none)))["OUTPUT__0"].shape == (0, 5)
    asked = [none if i % 5 == 0 else case.ask(i % 3 + 1) for i in range(40)]
    ask_in_batches(worker, "mlp", case, asked)
    code, text = failure(worker, request("mlp", case.ask(17)))
    assert code == lib.grpc.StatusCode.INVALID_ARGUMENT
    assert "'INPUT__0' has shape [17,20]" in text and "at most 16" in text
    case.check(case.expected(asked[1]), outputs(ask(worker, request("mlp", asked[1]))))


@pytest.mark.parametrize("name, case, gave, expected", [
    ("mean", MEAN, "[4]", "[2,4]"), ("flat", FLAT, "[2,6]", "[2,2,2]")])
def test_outputs_that_are_not_as_the_configuration_says(fleet, name, case, gave, expected):
    case.write(fleet.repository, name, BATCHED)
    worker = start_worker(fleet, name)
    wrong = {"x": torch.randn(2, 4) if case is MEAN else torch.randn(2, 3, 2)}
    answers = ask_all(worker, [request(name, wrong) for _ in range(8)])
    for answer in answers:
        assert answer.code() == lib.grpc.StatusCode.INTERNAL
        assert answer.details() == (f"output 'y': the model gave shape {gave}; its configuration "
                                    f"says {expected}")
    assert metric(worker, "torchfleet_worker_output_mismatch_total") > 0
