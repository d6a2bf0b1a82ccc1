"""Holds the names of TensorRT that our code and our stand-in use against real bindings: tensorrt_contract.py [FILE..]

Prints one JSON object: version, how much was looked at, and what is wrong. The names come from the source itself, so the
list cannot go stale; which variable holds an object of which class is said in HOLDS and checked against what the bindings
say their calls return.
"""

import ast
import inspect
import json
import re
import sys
from pathlib import Path

BACKENDS = Path(__file__).parents[3] / "runtime" / "backends"
OURS = [BACKENDS / f"tensorrt_{part}.py" for part in ("build", "library", "session")]
FAKE = Path(__file__).with_name("fake_tensorrt.py")
HOLDS = {"builder": "Builder", "network": "INetworkDefinition", "parser": "OnnxParser", "config": "IBuilderConfig",
         "profile": "IOptimizationProfile", "mistake": "ParserError", "engine": "ICudaEngine", "context": "IExecutionContext",
         "self._engine": "ICudaEngine", "self.engine": "ICudaEngine", "self.runtime": "Runtime",
         "monitor": "IProgressMonitor"}
ROOTS = ("trt", "self._trt")
# A class of another name; a buffer and an enumeration, of which nothing is called.
RETURNED = {"IParserError": "ParserError", "IHostMemory": None, "DataType": None}


def signatures(doc):
    """[(names of parameters, how many have no default, class returned)] of a call, from its docstring."""
    found = []
    for line in (doc or "").splitlines():
        match = re.match(r"(?:\d+\. )?\w+\((.*)\)(?: -> (.*))?$", line.strip())
        if not match or "*args" in match[1]:
            continue
        names, needed = [], 0
        for part in re.findall(r"(?:[^,\[\]<>()]|\[[^\]]*\]|<[^>]*>|\([^)]*\))+", match[1]):
            name = part.split(":")[0].split("=")[0].strip()
            if name and name != "self":
                names.append(name)
                needed += "=" not in part
        found.append((names, needed, re.split(r"[.:]", match[2] or "")[-1].strip("'> ")))
    return found


class Contract:
    def __init__(self, trt, wrong):
        self.trt, self.wrong, self.seen = trt, wrong, set()

    def chain(self, node):
        """"self._trt.Builder" of an attribute expression, or ""."""
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            above = self.chain(node.value)
            return f"{above}.{node.attr}" if above else ""
        return ""

    def resolve(self, chain):
        """(the bindings' object, its words) of a chain that begins at the library or at one of its objects; else None."""
        for root in sorted([*ROOTS, *HOLDS], key=len, reverse=True):
            if chain == root or chain.startswith(root + "."):
                rest = chain[len(root) + 1:].split(".") if chain != root else []
                there = self.trt if root in ROOTS else getattr(self.trt, HOLDS[root], None)
                words = "trt" if root in ROOTS else HOLDS[root]
                for name in rest:
                    words += f".{name}"
                    if not hasattr(there, name):
                        self.wrong.append(f"{words} does not exist")
                        return None
                    there = getattr(there, name)
                    if isinstance(there, property):
                        break
                self.seen.add(words)
                return there, words
        return None

    def look(self, path):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and (chain := self.chain(node)):
                self.resolve(chain)
            if isinstance(node, ast.Call) and (found := self.resolve(self.chain(node.func))):
                self.call(node, *found)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                self.assigned(node)
            if isinstance(node, ast.ClassDef):
                self.derived(node)

    def call(self, node, there, words):
        fits = signatures(inspect.getdoc(there) if not inspect.isclass(there) else there.__init__.__doc__)
        given, named = len(node.args), [k.arg for k in node.keywords]
        if words.endswith(".__init__"):
            given -= 1
        if fits and not any(needed <= given + len(named) and given <= len(names) and set(named) <= set(names)
                            for names, needed, _ in fits):
            self.wrong.append(f"{words} takes {fits}, it is called with {given} values and {named}")

    def assigned(self, node):
        """What a variable is said to hold is what the call returns."""
        found = self.resolve(self.chain(node.value.func))
        target = self.chain(node.targets[0])
        if found is None or not target:
            return
        there, words = found
        kinds = {there.__name__} if inspect.isclass(there) else {RETURNED.get(k, k) for _, _, k in signatures(there.__doc__)}
        kinds = {k for k in kinds if k and hasattr(self.trt, k)}
        if kinds and HOLDS.get(target) not in kinds:
            self.wrong.append(f"{target} = {words}(...) holds {kinds}; HOLDS says {HOLDS.get(target)}")

    def derived(self, node):
        """A class of ours below one of theirs has methods that theirs calls, with the parameters that it gives."""
        for base in node.bases:
            found = self.resolve(self.chain(base))
            for method in node.body if found else ():
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    self.method(found[0], found[1], method.name, [a.arg for a in method.args.args[1:]])

    def method(self, there, words, name, parameters):
        real = getattr(there, name, None)
        self.seen.add(f"{words}.{name}")
        if real is None:
            self.wrong.append(f"{words} has no {name}")
            return
        fits = signatures(real.__doc__)
        if fits and not any(names[:len(parameters)] == parameters and needed <= len(parameters) for names, needed, _ in fits):
            self.wrong.append(f"{words}.{name}({', '.join(parameters)}) is {fits} there")

    def fake(self, path):
        """The stand-in has nothing that the real library has not."""
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef) or node.name == "DeviceMemory" or node.name.startswith("_"):
                continue
            there = getattr(self.trt, node.name, None)
            if there is None:
                self.wrong.append(f"the stand-in has a class {node.name}, which does not exist")
                continue
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                    if any(isinstance(d, ast.Name) and d.id == "property" for d in item.decorator_list):
                        if not isinstance(getattr(there, item.name, None), property):
                            self.wrong.append(f"{node.name}.{item.name} is no property there")
                        self.seen.add(f"{node.name}.{item.name}")
                    else:
                        self.method(there, node.name, item.name, [a.arg for a in item.args.args[1:]])
                elif isinstance(item, ast.Assign) and any("Enum" in ast.dump(b) for b in node.bases):
                    names = item.targets[0].elts if isinstance(item.targets[0], ast.Tuple) else item.targets
                    self.wrong += [f"{node.name}.{n.id} does not exist" for n in names if not hasattr(there, n.id)]


def main():
    from aisle.runtime.backends.tensorrt_library import DTYPES
    library = __import__("tensorrt_bindings")
    wrong = []
    contract = Contract(library, wrong)
    for path in [*OURS, *map(Path, sys.argv[1:])]:
        contract.look(path)
    contract.fake(FAKE)
    wrong += [f"DataType.{name} does not exist" for name in DTYPES.values() if not hasattr(library.DataType, name)]
    wrong += [f"TensorIOMode.{name} does not exist" for name in ("INPUT", "OUTPUT") if not hasattr(library.TensorIOMode, name)]
    print(json.dumps({"version": library.__version__, "seen": sorted(contract.seen), "wrong": sorted(set(wrong))}))


if __name__ == "__main__":
    main()
