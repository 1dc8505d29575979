"""What a run of the client costs, in numbers that don't depend on the machine's load: system calls and
allocations for each unit of work, as the difference of a longer and a shorter run."""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess

from servers import need, profile

Cost = collections.namedtuple("Cost", "cost units")

WAITING = {"epoll_wait", "poll", "clock_nanosleep", "futex", "total"}

ALLOCATIONS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
static atomic_ullong n;
void *malloc(size_t size) { n++; return __libc_malloc(size); }
void *calloc(size_t many, size_t size) { n++; return __libc_calloc(many, size); }
void *realloc(void *old, size_t size) { n++; return __libc_realloc(old, size); }
void *aligned_alloc(size_t by, size_t size) { n++; return __libc_memalign(by, size); }
int posix_memalign(void **to, size_t by, size_t size) { n++; return (*to = __libc_memalign(by, size)) == 0; }
__attribute__((destructor)) static void say(void)
{
    char text[32];
    const char *path = getenv("ALLOCATIONS");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    if (fd >= 0 && write(fd, text, (size_t)length) != length) { _exit(99); }
}
"""


def run(binary, folder, name, text, unit, before=(), env=None):
    """Units of work that the run did."""
    run_dir = folder / name
    shutil.rmtree(run_dir, ignore_errors=True)
    subprocess.run([*before, binary, "run", profile(folder, text, f"{name}.ini"), "-q", "-o", run_dir],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, **(env or {})})
    return json.loads((run_dir / "run.json").read_text())["totals"][unit]


def per_unit(measure, durations, tries=3):
    """A machine that is held up in the longer run alone leaves too little between the two: then once more."""
    for _ in range(tries):
        short, long = (measure(duration) for duration in durations)
        if long.units > 1.5 * short.units:
            return (long.cost - short.cost) / (long.units - short.units)
    raise AssertionError(f"{short} and {long} are too near each other, {tries} times")


def system_calls(binary, folder, text, unit, durations=(1, 3)):
    """System calls of all threads for each unit, without those that wait: how many events come in one
    turn of a loop is the machine's affair.  `text` is a profile with {duration}."""
    strace = need("strace")

    def measure(duration):
        out = folder / f"strace-{unit}-{duration}"
        units = run(binary, folder, f"calls-{unit}-{duration}", text.replace("{duration}", f"{duration}s"),
                    unit, [strace, "-f", "-c", "-o", out])
        calls = re.findall(r"^ *[0-9.]+ +[0-9.]+ +\d+ +(\d+) (?: *\d+)? +(\w+)$", out.read_text(), re.M)
        return Cost(sum(int(n) for n, name in calls if name not in WAITING), units)

    return per_unit(measure, durations)


def allocations(binary, folder, text, unit, durations=(1, 3)):
    """Calls of malloc, calloc and realloc for each unit."""
    source, library = folder / "allocations.c", folder / "allocations.so"
    source.write_text(ALLOCATIONS)
    subprocess.run([need("cc"), "-O2", "-shared", "-fPIC", "-o", library, source], check=True)

    def measure(duration):
        out = pathlib.Path(folder) / f"allocated-{unit}-{duration}"
        units = run(binary, folder, f"allocations-{unit}-{duration}",
                    text.replace("{duration}", f"{duration}s"), unit,
                    env={"LD_PRELOAD": str(library), "ALLOCATIONS": str(out)})
        return Cost(int(out.read_text()), units)

    return per_unit(measure, durations)
