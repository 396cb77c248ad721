"""What would fit: from figures where there are any, else half as many; and what a GPU is asked."""

import platform
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from unlearning.law.settings import Settings
from unlearning.runs import memory
from unlearning.runs.memory import GIB, Use, advice, asked_for, is_shortage
from unlearning.runs.wash import facts_at_once

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text, size",
    [
        ("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 8 GiB", 1.5 * GIB),
        ("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; ...)", 20 * 2**20),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 512 bytes.", 512),
        ("no figure", 0),
    ],
)
def test_an_error_says_how_much_it_asked_for(text, size):
    assert asked_for(text) == size


@pytest.mark.parametrize(
    "error, short",
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("memory"), False),
    ],
    ids=str,
)
def test_a_shortage_is_told_from_other_errors(error, short):
    assert is_shortage(error) is short


def test_without_figures_the_advice_is_half_as_many():
    assert advice(200, 200, None, GIB).endswith("What should fit: 100 facts at once, or a smaller model.")
    assert advice(3, 3, None, 0).endswith("What should fit: 1 fact at once, or a smaller model.")
    assert "wash of 1 fact. Fewer facts would not help" in advice(1, 1, None, 0)


def test_with_figures_what_fits_is_what_is_free_over_what_a_fact_needs():
    used = Use(rest=2 * GIB, peak=8 * GIB, free=3 * GIB)  # and 4 GiB were asked for: 0.1 GiB a fact
    said = advice(100, 100, used, 4 * GIB)
    assert "10.0 GiB or more beside the model; 3.0 GiB are free. What should fit: 27 facts" in said
    assert "21 facts" not in said
    assert "21 facts" in advice(500, 80, used, 4 * GIB)  # only 80 of them were held together
    assert "50 facts" in advice(100, 100, Use(2 * GIB, 8 * GIB, 100 * GIB), 4 * GIB)  # as many never fit
    assert "Fewer facts would not help" in advice(100, 100, Use(2 * GIB, 8 * GIB, 2**20), 4 * GIB)


def test_a_step_that_is_not_about_the_facts_is_not_helped_by_fewer():
    assert "Fewer facts would not help" in advice(100, 0, Use(2 * GIB, 8 * GIB, 3 * GIB), 4 * GIB)
    assert "Fewer facts would not help" in advice(100, 0, None, 0)


@pytest.mark.parametrize(
    "phase, position, n, together",
    [
        ("targets", "subject", 500, 128),
        ("targets", "prompt", 500, 21),  # six phrasings a fact
        ("targets", "prompt", 5, 5),
        ("initial", "prompt", 500, 21),
        ("law", "prompt", 500, 21),
        ("known", "prompt", 500, 128),
        ("before", "prompt", 500, 0),
        ("curve", "prompt", 500, 0),
    ],
)
def test_how_many_facts_a_step_holds_together(phase, position, n, together):
    assert facts_at_once(phase, n, Settings(position=position, phrasings=6), 1600) == together


def test_a_gpu_is_asked_what_was_used_and_what_is_free(monkeypatch):
    lm = SimpleNamespace(devices=(torch.device("cuda", 1),))
    told = {"max_memory_allocated": 7, "memory_allocated": 2, "mem_get_info": (3, 80)}
    asked = []
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, x=value: asked.append(device) or x)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    memory.watch(lm)
    assert memory.use(lm) == Use(rest=2, peak=7, free=3)
    assert asked == [*lm.devices] * 4
    cpu = SimpleNamespace(devices=(torch.device("cpu"),))
    memory.watch(cpu)
    assert memory.use(cpu) is None and len(asked) == 4


def test_of_several_gpus_the_one_that_would_be_full_first_counts(monkeypatch):
    first, second = devices = (torch.device("cuda", 0), torch.device("cuda", 1))
    told = {
        "max_memory_allocated": {first: 9, second: 5},
        "memory_allocated": {first: 2, second: 2},
        "mem_get_info": {first: (20, 80), second: (4, 80)},
    }
    for name, values in told.items():
        monkeypatch.setattr(torch.cuda, name, values.get)
    asked = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    lm = SimpleNamespace(devices=devices)
    memory.watch(lm)
    assert asked == [first, second] and memory.use(lm) == Use(rest=2, peak=5, free=4)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no other C library can be asked to")
def test_what_was_freed_goes_back_to_the_system():
    code = (
        "import re, sys; from unlearning.runs.memory import trim\n"
        "def rss(): return int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "held = [bytearray(10_000) for _ in range(10_000)]; last = bytearray(10_000)\n"  # last: no free top
        "del held; high = rss(); trim(); print(high - rss())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) > 50_000  # of some 100,000 KB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_many_threads_share_one_arena():
    code = (
        "import ctypes, threading; from unlearning.runs.memory import one_arena\n"
        "one_arena(); every = threading.Barrier(8)\n"
        "def hold(): held = [bytearray(2_000) for _ in range(100)]; every.wait()\n"
        "threads = [threading.Thread(target=hold) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; ctypes.CDLL(None).malloc_stats()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(re.findall(r"^Arena \d+:", done.stderr, re.M)) == 1
