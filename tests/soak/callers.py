"""The soak's callers: a mixed load at a bounded rate, on a thread of its own.

Calls come as a Poisson process whatever becomes of those before. Each takes a
gateway, a model and a kind at random; how it ends is for the oracle to judge.
"""
import array
import asyncio
import contextlib
import random
import threading
import time

import aiohttp
import grpc

import payloads
from fleet import SLOW, services
from oracle import Call, End
from rules import FRONT, MODEL
from world import DEADLINE, OTHER

# Calls under way at most; what would be more is not begun, and counted.
MOST = 400
# So often does a caller come back.
TURNS = 100
COME_BACK = 0.2
CHANNEL = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
           ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 500)]


def end_of(error):
    """How a gRPC call failed."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return End(error.code().name, error.details() or "", told=b"google.rpc.RetryInfo" in details)


class Callers:
    def __init__(self, gateways, oracle, seed, rate):
        """`gateways`: their addresses, which stay."""
        self.gateways, self.oracle, self.rate = gateways, oracle, rate
        self.random = random.Random(seed)
        self.kinds = {self.unary: 56, self.large: 3, self.stream: 10, self.rest: 14,
                      self.rest_binary: 4, self.cancelled: 6, self.hasty: 5, self.newcomer: 2}
        self.stopping = threading.Event()
        self.begun = self.not_begun = 0
        self.under_way = 0
        # By how many seconds a call began after its time at most: when this process
        # does not keep up, latencies are its own. Whoever tells it sets it back.
        self.behind = 0.0
        # Seconds, of unary calls that the gateway which stays has answered.
        self.latencies = array.array("f")
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self):
        self.thread.start()

    def stop(self):
        """Returns when all calls have ended."""
        self.stopping.set()
        self.thread.join(timeout=60 * SLOW)
        if self.thread.is_alive():
            self.oracle.found(f"{self.under_way} calls were lost: they have not ended")

    async def _run(self):
        async with contextlib.AsyncExitStack() as stack:
            self.channels = [await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=CHANNEL)) for address in self.gateways]
            self.stubs = [services.GRPCInferenceServiceStub(c) for c in self.channels]
            self.sessions = [await stack.enter_async_context(aiohttp.ClientSession(
                f"http://{address}", timeout=aiohttp.ClientTimeout(total=30 * SLOW),
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3)))
                for address in self.gateways]
            await self._make_calls()

    async def _make_calls(self):
        tasks, due = set(), time.monotonic()
        while not self.stopping.is_set():
            due += self.random.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.behind = max(self.behind, time.monotonic() - due)
            if len(tasks) >= MOST:
                self.not_begun += 1
                continue
            self.begun += 1
            task = asyncio.create_task(self._make(self.begun))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            self.under_way = len(tasks)
        while tasks:
            await asyncio.wait(tasks)
            self.under_way = len(tasks)

    def _call(self, kind, number):
        chance = self.random
        model, version = chance.choices(
            [(MODEL, ""), (OTHER, ""), (FRONT, ""), (MODEL, "1"), (MODEL, "2"), (MODEL, "prod")],
            [45, 30, 6, 6, 6, 7])[0]
        size = int(2 ** chance.uniform(10, 16))
        call = Call(kind.__name__, model, number, chance.randrange(2), size, version,
                    tester=chance.random() < 0.3, user=f"user-{chance.randrange(50)}",
                    priority=chance.choice([0, 0, 1, 2, 3]), deadline=DEADLINE)
        if kind in (self.large, self.rest_binary):
            call.model, call.version = OTHER, ""
            call.size = chance.randrange(128 << 10, 2 << 20)
        if kind == self.hasty:
            call.hasty, call.deadline = True, chance.uniform(0.0005, 0.03)
        if kind == self.cancelled:
            call.cancelled = True
        return call

    async def _make(self, number):
        """One call, to its end; whatever else comes of it is wrong."""
        kind, = self.random.choices(list(self.kinds), self.kinds.values())
        call = self._call(kind, number)
        try:
            for _ in range(TURNS):
                call.begun = time.monotonic()
                ends = await kind(call)
                call.ended = time.monotonic()
                if not any([self.oracle.judge(call, end) for end in ends]):
                    break
                await asyncio.sleep(COME_BACK)
            else:
                self.oracle.found(f"{call} was told to come back {TURNS} times")
        except Exception as error:  # pylint: disable=broad-except
            self.oracle.found(f"{call}: {error!r}")

    async def _infer(self, call, stub):
        try:
            response = await stub.ModelInfer(
                payloads.request(call), timeout=call.deadline, wait_for_ready=True,
                metadata=tuple(payloads.headers(call).items()))
        except grpc.aio.AioRpcError as error:
            return [end_of(error)]
        return [self._answer(call, response)]

    @staticmethod
    def _answer(call, response):
        return End("OK", own=payloads.is_own(call, response), model=response.model_name,
                   version=response.model_version)

    # --- kinds: each returns how the call ended, or the calls of a stream ---

    async def unary(self, call):
        ends = await self._infer(call, self.stubs[call.gateway])
        if ends[0].code == "OK" and call.gateway == 0:
            self.latencies.append(time.monotonic() - call.begun)
        return ends

    async def large(self, call):
        return await self._infer(call, self.stubs[call.gateway])

    async def hasty(self, call):
        return await self._infer(call, self.stubs[call.gateway])

    async def newcomer(self, call):
        """On a connection of its own."""
        async with grpc.aio.insecure_channel(self.gateways[call.gateway],
                                             options=CHANNEL) as channel:
            return await self._infer(call, services.GRPCInferenceServiceStub(channel))

    async def cancelled(self, call):
        running = self.stubs[call.gateway].ModelInfer(
            payloads.request(call), timeout=call.deadline, wait_for_ready=True,
            metadata=tuple(payloads.headers(call).items()))
        await asyncio.sleep(self.random.uniform(0, 0.008))
        running.cancel()
        try:
            return [self._answer(call, await running)]
        except grpc.aio.AioRpcError as error:
            return [end_of(error)]
        except asyncio.CancelledError:
            return [End((await running.code()).name)]

    async def stream(self, call):
        """Some requests on one stream, each answered once, in any order."""
        calls = {}
        for item in range(self.random.randint(1, 12)):
            each = Call("stream", call.model, call.number, call.gateway, 1024 + item, call.version,
                        call.tester, call.user, call.priority)
            calls[f"{each.mark}/{item}"] = each

        async def requests():
            for mark, each in calls.items():
                message = payloads.request(each)
                message.id = mark
                yield message
        ends = []
        try:
            async for answer in self.stubs[call.gateway].ModelStreamInfer(
                    requests(), timeout=call.deadline, wait_for_ready=True,
                    metadata=tuple(payloads.headers(call).items())):
                ends.append(self._item(calls, answer))
        except grpc.aio.AioRpcError as error:
            return [end_of(error)]
        # Once each: what has an answer is no longer there.
        return [*ends, *(End("LOST", f"the stream ended without {mark}") for mark in calls)]

    def _item(self, calls, answer):
        response = answer.infer_response
        each = calls.pop(response.id, None)
        if each is None:
            return End("LOST", f"to nobody, or again: {response.id} {answer.error_message}")
        if answer.error_message:
            return End.of_stream(answer.error_message)
        response.id = each.mark
        return self._answer(each, response)

    async def rest(self, call):
        body, kind = payloads.json_body(call)
        code, _, body = await self._post(call, body, kind)
        return [code or self._document(call, body)]

    @staticmethod
    def _document(call, body):
        document = payloads.json.loads(body)
        return End("OK", own=payloads.is_own_json(call, document), model=document["model_name"],
                   version=document["model_version"])

    async def rest_binary(self, call):
        body, kind = payloads.binary_body(call)
        code, headers, body = await self._post(call, body, kind)
        if code:
            return [code]
        document, tensors = payloads.read_binary(
            body, int(headers["Inference-Header-Content-Length"]))
        return [End("OK", own=payloads.is_own_binary(call, document, tensors),
                    model=document["model_name"], version=document["model_version"])]

    async def _post(self, call, body, kind):
        """How it failed, or None and the answer's headers and body."""
        try:
            async with self.sessions[call.gateway].post(
                    payloads.path(call), data=body,
                    headers={**kind, **payloads.headers(call)}) as answer:
                content = await answer.read()
                if answer.status == 200:
                    return None, answer.headers, content
                return End.of_http(answer.status, content.decode(errors="replace"),
                                   "Retry-After" in answer.headers), None, None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            return End("GONE", repr(error)), None, None
