"""pytest plugin: run coremltools' own tests with another engine in the place of Core ML.

On a Mac, coremltools' tests convert a small program, let Core ML predict with it and
compare the numbers. Elsewhere they stop before the prediction. This plugin makes
coremltools believe that it is on a Mac and sends every prediction to an external engine.
`run` beside it does the whole; the engine's protocol is told in src/cli/serve.rs.

    pytest -p coreml_conformance --coreml-engine "ENGINE ARGS" --pyargs coremltools...
    python coreml_conformance.py report.jsonl [--known known.toml] [--exact exact.jsonl] [--older report.jsonl]

Outcomes: `passed` (predicted, and the numbers agreed), `wrong` (predicted, but numbers, shape or the test's
own checks disagreed), `engine error` (the engine refused or died), `not converted` (coremltools' own trouble
before any prediction), `no prediction` (passed without asking the engine), `skipped` and `xfailed` (by the
test). Conformance is passed / (passed + wrong + engine error).
"""
import argparse, collections, hashlib, json, os, platform, random, re, selectors, shlex, shutil, subprocess
import sys, tempfile, time, tomllib, types, zlib

# Read by coremltools.converters.mil.testing_reqs when test modules are imported.
os.environ.setdefault("PYMIL_TEST_TARGETS", "mlprogram")
os.environ.setdefault("INCLUDE_MIL_FP32_UNIT_TESTS", "1")
os.environ.setdefault("TORCH_FRONTENDS", "TORCHSCRIPT")

RECORD = {}  # what the running test did: predictions, ops, engine errors, seconds
PACKAGES = []  # model packages that the running test made
ENGINE = None


class EngineError(RuntimeError):
    """The engine refused, failed, died or took too long."""


# ---------------------------------------------------------------- the engine's two protocols
class Server:
    """One process; a JSON object a line each way."""

    def __init__(self, command, options, timeout):
        self.command, self.options, self.timeout, self.process = command, options, timeout, None

    def start(self):
        self.process = subprocess.Popen(
            self.command + ["serve"] + self.options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.buffer = b""
        self.generation = getattr(self, "generation", 0) + 1

    def call(self, **request):
        if self.process is None or self.process.poll() is not None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            reply = json.loads(self.read_line())
        except (OSError, ValueError) as error:
            self.stop()
            raise EngineError(f"engine died or spoke nonsense at {request['cmd']}: {error}")
        if not reply.get("ok"):
            RECORD.setdefault("unsupported", []).extend(reply.get("unsupported", []))
            raise EngineError(reply.get("error", "no reason given"))
        return reply

    def read_line(self):
        until = time.monotonic() + self.timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if not selector.select(max(0, until - time.monotonic())):
                    self.stop()
                    raise EngineError(f"no answer within {self.timeout} s")
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                if not data:
                    raise ValueError(f"end of output, exit status {self.process.wait()}")
                self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def load(self, proxy):
        if proxy.loaded is None or proxy.loaded[0] != getattr(self, "generation", 0) or not self.process:
            request = {"cmd": "load", "model": proxy.path}
            if proxy.function:
                request["function"] = proxy.function
            handle = self.call(**request)["model"]
            proxy.loaded = (self.generation, handle)
        return proxy.loaded[1]

    def predict(self, proxy, state, inputs, outputs):
        request = {"model": self.load(proxy), "inputs": inputs, "outputs": outputs}
        if state is not None:
            request["state"] = state.handle
        return self.call(cmd="predict", **request).get("values", {})

    def new_state(self, state):
        state.handle = self.call(cmd="new_state", model=self.load(state.proxy))["state"]

    def read_state(self, state, name, path):
        self.call(cmd="read_state", state=state.handle, name=name, outputs=path)

    def write_state(self, state, name, path):
        self.call(cmd="write_state", state=state.handle, name=name, inputs=path)

    def unload(self, proxy):
        if proxy.loaded and self.process and proxy.loaded[0] == self.generation:
            try:
                self.call(cmd="unload", model=proxy.loaded[1])
            except EngineError:
                pass


class OneShot(Server):
    """One process a prediction; the state is a safetensors file that it reads and writes back."""

    def run(self, *arguments):
        try:
            done = subprocess.run(
                [*self.command, *arguments, *self.options], capture_output=True, text=True, timeout=self.timeout
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"no answer within {self.timeout} s")
        if done.returncode:
            raise EngineError(done.stderr.strip()[-2000:] or f"exit status {done.returncode}")
        last = done.stdout.strip().splitlines()[-1:] or ["{}"]
        return json.loads(last[0]).get("values", {}) if last[0].startswith("{") else {}

    def predict(self, proxy, state, inputs, outputs):
        extra = ["--function", proxy.function] if proxy.function else []
        extra += ["--state", state.handle] if state is not None else []
        return self.run("predict", "--model", proxy.path, "--inputs", inputs, "--outputs", outputs, *extra)

    def new_state(self, state):
        state.handle = os.path.join(tempfile.mkdtemp(prefix="coreml-state-"), "state.safetensors")

    def read_state(self, state, name, path):
        if not os.path.exists(state.handle):
            raise EngineError("state not written by any prediction yet")
        write_tensors(path, {name: read_tensors(state.handle)[name]})

    def write_state(self, state, name, path):
        held = read_tensors(state.handle) if os.path.exists(state.handle) else {}
        write_tensors(state.handle, {**held, **read_tensors(path)})

    def unload(self, proxy):
        pass


def write_tensors(path, tensors):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path)


def read_tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


# ---------------------------------------------------------------- Core ML's side of the fence
class State:
    def __init__(self, proxy):
        self.proxy = proxy
        proxy.judged()
        try:
            ENGINE.new_state(self)
        except EngineError as error:
            RECORD["error"] = str(error)[:500]
            raise

    def read_state(self, name):
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            ENGINE.read_state(self, name, f"{folder}/t")
            value = read_tensors(f"{folder}/t")[name]
        return value.astype(np.float32) if value.dtype == np.float16 else value

    def write_state(self, name, value):
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            write_tensors(f"{folder}/t", {name: np.asarray(value)})
            ENGINE.write_state(self, name, f"{folder}/t")


class Proxy:
    """Stands in for coremltools.libcoremlpython._MLModelProxy."""

    def __init__(self, path, compute_units="ALL", function_name="", hints=None, asset=None):
        from coremltools.models.utils import load_spec

        if asset is not None or path.endswith(".mlmodelc"):
            raise RuntimeError("only .mlpackage is sent to the engine")
        spec = load_spec(path)
        if spec.WhichOneof("Type") != "mlProgram":
            raise RuntimeError(f"{spec.WhichOneof('Type')} models are not sent to the engine")
        self.path, self.function, self.loaded = path, function_name, None
        self.description = spec.description
        for one in spec.description.functions:
            if one.name == (function_name or spec.description.defaultFunctionName):
                self.description = one
        self.ops = sorted(op_types(spec, function_name or spec.description.defaultFunctionName))
        PACKAGES.append(self)

    def judged(self):
        """From here on the test's outcome is the engine's."""
        RECORD["predictions"] = RECORD.get("predictions", 0) + 1
        RECORD["ops"] = sorted(set(RECORD.get("ops", [])) | set(self.ops))

    def predict(self, data, state=None):
        self.judged()
        data = dict(data)
        inputs = {}
        for feature in self.description.input:
            value = to_tensor(data.pop(feature.name, None), feature)
            if value is not None:
                inputs[feature.name] = value
        if data:
            raise EngineError(f"no such input: {sorted(data)}")
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
                write_tensors(f"{folder}/in.safetensors", inputs)
                values = ENGINE.predict(self, state, f"{folder}/in.safetensors", f"{folder}/out.safetensors")
                tensors = read_tensors(f"{folder}/out.safetensors")
        except EngineError as error:
            RECORD["error"] = str(error)[:500]
            raise
        finally:
            RECORD["engine_s"] = RECORD.get("engine_s", 0) + time.monotonic() - began
        return {f.name: from_tensor(f, tensors, values) for f in self.description.output}

    def batchPredict(self, batch):
        return [self.predict(one) for one in batch]

    def newState(self):
        return State(self)

    def get_compiled_model_path(self):
        raise RuntimeError("there is no compiled model here")

    get_load_duration_in_nano_seconds = get_last_predict_duration_in_nano_seconds = lambda self: None
    maximum_supported_specification_version = staticmethod(lambda: 10)
    auto_set_specification_version = staticmethod(lambda spec: spec)
    get_available_compute_devices = get_all_compute_devices = staticmethod(lambda: [])

    @staticmethod
    def compileModel(path):
        raise RuntimeError("models are not compiled here")

    create_model_asset_from_path = create_model_asset_from_memory = compileModel
    get_model_structure = get_compute_plan = compileModel


def op_types(spec, function):
    def walk(block):
        for op in block.operations:
            if op.type != "const":
                yield op.type
            for inner in op.blocks:
                yield from walk(inner)

    functions = spec.mlProgram.functions
    chosen = functions[function] if function and function in functions else next(iter(functions.values()))
    return {name for block in chosen.block_specializations.values() for name in walk(block)}


def array_dtype(kind):
    import numpy as np

    names = {65568: np.float32, 65552: np.float16, 65600: np.float64, 131104: np.int32, 131080: np.int8}
    return names[kind]


def to_tensor(value, feature):
    """What Core ML does with a value it is given: the declared element type; pixels as planes."""
    import numpy as np

    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        if value is None:
            return None
        planes = np.asarray(value, np.float32)
        planes = planes[None] if planes.ndim == 2 else planes.transpose(2, 0, 1)[:3]
        if feature.type.imageType.colorSpace == 30:  # BGR
            planes = planes[::-1]
        return planes[None]
    if kind != "multiArrayType":
        raise EngineError(f"input {feature.name} is {kind}")
    array = feature.type.multiArrayType
    dtype = array_dtype(array.dataType)
    if value is None:
        default = array.WhichOneof("defaultOptionalValue")
        if default is None:
            return None
        return np.full(tuple(array.shape), getattr(array, default), dtype)
    value = np.asarray(value)
    return (value.reshape(1) if value.ndim == 0 else value).astype(dtype)


def from_tensor(feature, tensors, values):
    """What coremltools' binding makes of an output: float16 as float32, no rank 0, images as PIL."""
    import numpy as np

    kind = feature.type.WhichOneof("Type")
    if kind not in ("multiArrayType", "imageType"):
        if feature.name not in values:
            raise EngineError(f"output {feature.name} missing")
        value = values[feature.name]
        if kind == "dictionaryType" and feature.type.dictionaryType.WhichOneof("KeyType") == "int64KeyType":
            value = {int(k): v for k, v in value.items()}
        return value
    if feature.name not in tensors:
        raise EngineError(f"output {feature.name} missing")
    value = tensors[feature.name]
    if kind == "imageType":
        from PIL import Image

        space, planes = feature.type.imageType.colorSpace, value.reshape(value.shape[-3:])
        if space == 40:  # GRAYSCALE_FLOAT16
            return Image.fromarray(planes[0].astype(np.float32), "F")
        planes = planes.clip(0, 255).astype(np.uint8)
        if space == 10:
            return Image.fromarray(planes[0], "L")
        planes = planes[::-1] if space == 30 else planes
        return Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)), "RGB").convert("RGBA")
    declared = array_dtype(feature.type.multiArrayType.dataType)
    if value.dtype != declared:
        raise EngineError(f"output {feature.name} is {value.dtype}, declared {np.dtype(declared)}")
    value = value.astype(np.float32) if value.dtype == np.float16 else value
    return value.reshape(1) if value.ndim == 0 else value


# ---------------------------------------------------------------- pytest's side
def pytest_addoption(parser):
    group = parser.getgroup("coreml-conformance")
    group.addoption("--coreml-engine", help="command of the engine; without it every prediction fails")
    group.addoption("--coreml-options", default="", help="put behind the engine's subcommand")
    group.addoption("--coreml-mode", choices=["serve", "oneshot"], default="serve")
    group.addoption("--coreml-timeout", type=float, default=60.0, help="seconds for one request")
    group.addoption("--coreml-sample", type=int, default=0, help="at most N cases a test function; 0: all")
    group.addoption("--coreml-precision", choices=["fp32", "fp16"], help="only the programs of this precision")
    group.addoption("--coreml-machine", default="arm64", help="what platform.machine() says to the tests")
    group.addoption("--coreml-fp16-tol", help="ATOL,RTOL instead of coremltools' 0.5,0.05 for fp16 programs")
    group.addoption("--coreml-failed", help="only the tests that this report calls wrong or an engine error")
    group.addoption("--coreml-report", help="write what each test did here, a line of JSON each")
    group.addoption("--coreml-keep", help="keep each predicted test's model and tensors under this folder")


def pytest_configure(config):
    global ENGINE
    option = config.getoption
    command = shlex.split(option("--coreml-engine") or "false")
    protocol = Server if option("--coreml-mode") == "serve" else OneShot
    ENGINE = protocol(command, shlex.split(option("--coreml-options")), option("--coreml-timeout"))
    pretend_to_be_a_mac(option("--coreml-machine"))
    if option("--coreml-fp16-tol"):
        tighten_fp16(*map(float, option("--coreml-fp16-tol").split(",")))
    report = option("--coreml-report")
    if report and not hasattr(config, "workerinput"):  # xdist's workers report through their controller
        global REPORT
        REPORT = open(report, "w", buffering=1)


def pretend_to_be_a_mac(machine):
    binding = types.ModuleType("coremltools.libcoremlpython")
    binding._MLModelProxy = Proxy
    for name in ("_MLModelAssetProxy", "_MLComputePlanProxy", "_MLCPUComputeDeviceProxy",
                 "_MLGPUComputeDeviceProxy", "_MLNeuralEngineComputeDeviceProxy"):
        setattr(binding, name, type(name, (), {}))
    sys.modules["coremltools.libcoremlpython"] = binding  # found by its `from ..libcoremlpython import`
    try:
        import torch  # noqa: F401  (before platform.machine() changes)
    except ImportError:
        pass
    from coremltools.models import utils

    replaced = {utils._is_macos: lambda: True, utils._macos_version: lambda: (15, 5)}
    for name, module in list(sys.modules.items()):
        if name.startswith("coremltools"):
            for key, value in list(vars(module).items()):
                if callable(value) and getattr(value, "__hash__", None) and value in replaced:
                    setattr(module, key, replaced[value])
            if hasattr(module, "_IS_MACOS"):
                module._IS_MACOS = True
    platform.machine = lambda: machine


def tighten_fp16(atol, rtol):
    import numpy as np
    import pytest

    original = np.testing.assert_allclose

    def assert_allclose(actual, desired, *args, **kwargs):
        original(actual, desired, *args, **kwargs)  # some tests expect an AssertionError
        if kwargs.get("atol", 0) < 0.5 or kwargs.get("rtol", 0) < 0.05:
            return
        try:
            original(actual, desired, *args, **{**kwargs, "atol": atol, "rtol": rtol})
        except AssertionError as error:  # not AssertionError: coremltools would forgive it
            pytest.fail(f"tightened fp16 tolerance: {error}")

    np.testing.assert_allclose = assert_allclose


def stable(nodeid):
    """The same name on each machine: no path of the installation, no object addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", nodeid[max(nodeid.rfind("coremltools/"), 0):])


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--coreml-precision")

    def unwanted(value):  # a BackendConfig or, in older tests, ("mlprogram", "fp16")
        if isinstance(value, tuple) and value[:1] in (("mlprogram",), ("neuralnetwork",)):
            backend, precision = value[0], value[1]
        else:
            backend, precision = getattr(value, "backend", None), getattr(value, "precision", None)
        return backend == "neuralnetwork" or backend and wanted and precision != wanted

    groups, dropped = collections.OrderedDict(), []
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params or {}
        if any(map(unwanted, params.values())):
            dropped.append(item)
        else:
            groups.setdefault(stable(item.nodeid).split("[")[0], []).append(item)
    kept = set()
    for name, group in groups.items():
        kept.update(sample(name, group, config.getoption("--coreml-sample")))
    if config.getoption("--coreml-failed"):
        failed = set(failures(read_report(config.getoption("--coreml-failed"))))
        kept = {item for item in kept if stable(item.nodeid) in failed}
    dropped += [item for group in groups.values() for item in group if item not in kept]
    items[:] = [item for item in items if item in kept]
    config.hook.pytest_deselected(items=dropped)


def sample(name, group, most):
    """The same cases every time: first those that show a new parameter value, then by hash."""
    if not most or len(group) <= most:
        return group
    order = sorted(range(len(group)), key=lambda i: hashlib.sha1(f"{name}#{i}".encode()).digest())
    seen, first, rest, modes = set(), [], [], 0
    for i in order:
        values = {(k, str(v)) for k, v in group[i].callspec.params.items() if " at 0x" not in str(v)}
        new = values - seen
        seen |= values
        (first if new else rest).append(i)
    for key in ("mode", "op", "op_name", "op_str", "unary_op", "activation", "op_type"):
        modes = max(modes, len({v for k, v in seen if k == key}))
    return [group[i] for i in (first + rest)[: max(most, modes)]]


def pytest_runtest_setup(item):
    import numpy as np

    RECORD.clear()
    PACKAGES.clear()
    seed = zlib.crc32(stable(item.nodeid).encode())
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def pytest_runtest_teardown(item):
    keep = item.config.getoption("--coreml-keep")
    for proxy in PACKAGES:
        ENGINE.unload(proxy)
        if keep and RECORD.get("predictions"):
            name = hashlib.sha1(stable(item.nodeid).encode()).hexdigest()[:12]
            shutil.copytree(proxy.path, f"{keep}/{name}.mlpackage", dirs_exist_ok=True)
        if proxy.path.startswith(tempfile.gettempdir()):
            shutil.rmtree(proxy.path, ignore_errors=True)
    PACKAGES.clear()


def pytest_runtest_makereport(item, call):
    if call.when == "call":
        item.user_properties.append(("coreml", dict(RECORD)))


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        record = dict(report.user_properties).get("coreml", {})
        outcome = report.outcome
        if outcome == "skipped":
            outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        elif outcome == "passed":
            outcome = "passed" if record.get("predictions") else "no prediction"
        elif not record.get("predictions"):
            outcome = "not converted"
        elif record.get("error"):
            outcome = "engine error"
        else:
            outcome = "wrong"
        result = {"outcome": outcome, "s": round(report.duration, 3), **record}
        if outcome in ("not converted", "wrong"):
            result["why"] = str(report.longrepr)[-300:]
            off = re.search(r"Max absolute difference[^:]*: (\S+)", str(report.longrepr))
            result["off"] = float(off[1]) if off else None
        name, n = stable(report.nodeid), 1
        while name in RESULTS:  # ids that differed only by an address
            name, n = f"{stable(report.nodeid)}#{n}", n + 1
        RESULTS[name] = result
        if REPORT:
            REPORT.write(json.dumps({"test": name, **result}) + "\n")


RESULTS, REPORT = {}, None


def pytest_unconfigure(config):
    if ENGINE:
        ENGINE.stop()


def pytest_terminal_summary(terminalreporter):
    if RESULTS:
        terminalreporter.section("Core ML conformance")
        for line in summary(RESULTS, by_op=False):
            terminalreporter.line(line)


# ---------------------------------------------------------------- counting
COLUMNS = ("passed", "wrong", "engine error", "not converted", "no prediction", "skipped", "xfailed")


def summary(results, older=None, by_op=True):
    files = collections.defaultdict(collections.Counter)
    ops = collections.defaultdict(collections.Counter)
    unsupported = collections.Counter()
    for name, one in results.items():
        path = name.split("::")[0].split("/")
        files["/".join(path[-2:])][one["outcome"]] += 1
        for op in one.get("ops", []):
            ops[op][one["outcome"]] += 1
        unsupported.update(set(one.get("unsupported", [])))
    total = sum(files.values(), collections.Counter())
    yield f"{'file':44}" + "".join(f"{c:>14}" for c in COLUMNS)
    for name, count in sorted(files.items()):
        yield f"{name:44}" + "".join(f"{count[c]:>14}" for c in COLUMNS)
    yield f"{'all':44}" + "".join(f"{total[c]:>14}" for c in COLUMNS)
    judged = total["passed"] + total["wrong"] + total["engine error"]
    seconds = sum(one.get("engine_s", 0) for one in results.values())
    yield f"conformance: {total['passed']} of {judged} predicted cases right; engine {seconds:.1f} s"
    if by_op:
        yield f"{'op':44}{'passed':>14}{'wrong':>14}{'engine error':>14}"
        for name, count in sorted(ops.items()):
            yield f"{name:44}{count['passed']:>14}{count['wrong']:>14}{count['engine error']:>14}"
        whole = sum(1 for c in ops.values() if c["passed"] and not c["wrong"] and not c["engine error"])
        yield f"ops: {len(ops)} seen, {sum(1 for c in ops.values() if c['passed'])} with a pass, {whole} with nothing but passes"
        for name, count in unsupported.most_common():
            yield f"unsupported: {name} ({count} cases)"
    if older:
        for name in sorted(results):
            was, now = older.get(name, {}).get("outcome"), results[name]["outcome"]
            if was == "passed" and now != "passed":
                yield f"lost: {name}: {now}"


def read_report(path):
    with open(path) as lines:
        return {one.pop("test"): one for one in map(json.loads, lines)}


def failures(results):
    return {name: one for name, one in results.items() if one["outcome"] in ("wrong", "engine error")}


def reason_of(name, one, known, exact):
    """Why a failure was to be expected: only of one no greater than said, and wrong in double precision too."""
    if exact and exact.get(name, {}).get("outcome") != "wrong":
        return None
    off = one.get("off")
    fits = lambda k: re.search(k["test"], name) and (off is None if k.get("within") is None else off and off <= k["within"])
    return next((k["reason"] for k in known if fits(k)), None)


def explained(results, known, exact):
    """The failures with the reasons that are written down for them; lists those that have none."""
    reasons, unknown = collections.defaultdict(list), []
    for name, one in sorted(failures(results).items()):
        reason = reason_of(name, one, known, exact)
        reasons[reason].append(name) if reason else unknown.append((name, one))
    for reason, names in reasons.items():
        yield f"\nknown, {len(names)}: {reason.strip()}"
        off = max(results[name].get("off") or 0 for name in names)
        yield f"    wrong in double precision as well; off by {off:.2g} at most"
        for function, count in collections.Counter(name.split("[")[0] for name in names).items():
            yield f"    {count:4} {function}"
    for name, one in unknown:
        yield f"\nNOT KNOWN: {name}: {one['outcome']}: {one.get('error') or one.get('why', '')}"
    yield f"\n{len(unknown)} failures without a written reason"


def main():
    parser = argparse.ArgumentParser(description="Counts by file and by op.")
    parser.add_argument("report")
    parser.add_argument("--known", help="a TOML file of [[known]] tables with `test` (a pattern) and `reason`")
    parser.add_argument("--exact", help="report of the failures' second run, in double precision")
    parser.add_argument("--older", help="an older report: what passed then and does not now")
    given = parser.parse_args()
    results = read_report(given.report)
    print("\n".join(summary(results, read_report(given.older) if given.older else None)))
    if given.known:
        with open(given.known, "rb") as file:
            known = tomllib.load(file)["known"]
        print("\n".join(explained(results, known, read_report(given.exact) if given.exact else {})))


if __name__ == "__main__":
    main()
