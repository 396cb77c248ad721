"""A stand-in for the package `spaces` on ZeroGPU, as far as runs/gpu.py meets it; without any GPU.

A decorated generator runs in a forked worker, which stays for the next call. Arguments and what is yielded
are pickled; a tensor is refused. Of an exception only the class's name comes back; an abandoned call is
closed at its next item; a call is charged to the request in gradio's context, for as long as it asks.
"""

import io
import os
import pickle
from functools import wraps
from inspect import isgeneratorfunction
from multiprocessing import get_context

import gradio as gr
from gradio.context import LocalContext

fork = get_context("fork")
calls: list[dict] = []  # of each: who asked, and the worker's process id
refusal: str | None = None  # what the next call is refused with
kill_after: int | None = None  # items after which the next call loses its worker


class Strict(pickle.Pickler):
    def reducer_override(self, thing):
        if any(c.__module__ == "torch" and c.__name__ == "Tensor" for c in type(thing).__mro__):
            raise pickle.PicklingError("a tensor cannot cross")
        return NotImplemented


def pickled(thing) -> bytes:
    out = io.BytesIO()
    Strict(out).dump(thing)
    return out.getvalue()


class Worker:
    def __init__(self, task):
        self.end, theirs = fork.Pipe()
        self.stop = fork.Event()
        self.process = fork.Process(target=self.work, args=(task, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the worker is the end of the pipe

    def work(self, task, pipe):
        self.end.close()
        while True:
            args, kwargs = pickle.loads(pipe.recv_bytes())
            self.stop.clear()
            items = task(*args, **kwargs)
            try:
                for item in items:
                    if self.stop.is_set():
                        break
                    pipe.send_bytes(pickled(("item", item)))
            except Exception as error:
                pipe.send_bytes(pickled(("error", type(error).__name__)))
            items.close()
            pipe.send_bytes(pickled(("end", None)))


def GPU(task, duration):
    if not isgeneratorfunction(task):
        raise TypeError("this stand-in knows generators only")
    workers: list[Worker] = []

    @wraps(task)
    def lent(*args, **kwargs):
        global refusal, kill_after
        if refusal:
            said, refusal = refusal, None
            raise gr.Error(said, title="ZeroGPU quota exceeded")
        if not (workers and workers[-1].process.is_alive()):
            workers.append(Worker(task))
        worker, left, kill_after = workers[-1], kill_after, None
        asked = duration(*args, **kwargs)
        calls.append({"request": LocalContext.request.get(None), "worker": worker.process.pid, "for": asked})
        worker.end.send_bytes(pickled((args, kwargs)))
        try:
            while True:
                kind, item = pickle.loads(worker.end.recv_bytes())
                if kind == "end":
                    return
                if kind == "error":
                    raise gr.Error(item, title="ZeroGPU worker error")
                yield item
                if left is not None and (left := left - 1) == 0:
                    os.kill(worker.process.pid, 9)
                    worker.process.join()
        except EOFError:
            raise gr.Error("GPU task aborted", title="ZeroGPU worker error") from None
        except GeneratorExit:
            worker.stop.set()
            while pickle.loads(worker.end.recv_bytes())[0] != "end":
                pass
            raise

    return lent
