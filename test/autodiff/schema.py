"""Writes schema.json: the operators of the default ONNX domain, from the definitions that the onnx package carries.

    pip install onnx==1.23.1 && python test/autodiff/schema.py

For each operator: the operator sets that changed it, its inputs, and which of its inputs and outputs can be float, as
of the newest set not after NEWEST. "deprecated" is the set that removed it.
"""

import json
import pathlib

import onnx.defs

NEWEST = 26
FLOATS = {"tensor(float)", "seq(tensor(float))", "optional(tensor(float))"}


def floats(schema, values):
    types = {constraint.type_param_str: set(constraint.allowed_type_strs) for constraint in schema.type_constraints}
    return [value.name for value in values if types.get(value.type_str, {value.type_str}) & FLOATS]


operators = {}
schemas = [schema for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""]
for schema in sorted(schemas, key=lambda schema: (schema.name, schema.since_version)):
    if schema.since_version > NEWEST:
        continue
    entry = operators.setdefault(schema.name, {"versions": []})
    if schema.deprecated:
        entry["deprecated"] = schema.since_version
        continue
    if "deprecated" in entry:  # a flaw of one version, not the end of the operator
        entry["versions"].append(entry.pop("deprecated"))
    entry["versions"].append(schema.since_version)
    entry["inputs"] = [value.name for value in schema.inputs]
    entry["floatInputs"] = floats(schema, schema.inputs)
    entry["floatOutputs"] = floats(schema, schema.outputs)

path = pathlib.Path(__file__).with_name("schema.json")
lines = [f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in operators.items()]
origin = f"onnx {onnx.__version__}, onnx.defs, by schema.py"
path.write_text(
    f'{{\n  "origin": {json.dumps(origin)},\n  "newest": {NEWEST},\n  "operators": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
)
