#!/usr/bin/python3
"""Writes docs/reference/pipeline.md from the comments of proto/beamline/v1.

usage: tools/pipeline_reference.py [--check]

--check writes nothing and fails if the page is not what the protos say.
Needs protoc and python3-protobuf.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "pipeline.md"
FILES = ["beamline/v1/pipeline.proto", "beamline/v1/training_data.proto", "beamline/v1/network.proto", "beamline/v1/layer.proto",
         "beamline/v1/common.proto", "beamline/v1/dataset.proto"]
TOP = "PipelineDefinition"
HEAD = """# Pipeline reference

Every field of a pipeline definition, from the comments of `proto/beamline/v1` (made by
`tools/pipeline_reference.py`; do not edit). In YAML the fields have these names; enum values are written in lower case
without their prefix; sizes in bytes may have a unit (`1 GiB`), times in seconds too (`10 min`). Of fields marked *one of*
exactly one is given.
"""

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS = {FIELD.TYPE_DOUBLE: "number", FIELD.TYPE_INT64: "integer", FIELD.TYPE_INT32: "integer",
           FIELD.TYPE_UINT64: "integer", FIELD.TYPE_BOOL: "true or false", FIELD.TYPE_STRING: "text",
           FIELD.TYPE_BYTES: "bytes"}


def parse():
    """Messages and enums by full name, and comments by (file, path)."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I", str(ROOT / "proto"), "--include_source_info", "--include_imports",
                        f"--descriptor_set_out={out.name}", *FILES], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    types = {}
    for file in files.file:
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}

        def visit(prefix, path, message):
            name = f"{prefix}.{message.name}"
            types[name] = (message, comments, path)
            for i, nested in enumerate(message.nested_type):
                visit(name, path + (3, i), nested)
            for i, enum in enumerate(message.enum_type):
                types[f"{name}.{enum.name}"] = (enum, comments, path + (4, i))

        for i, message in enumerate(file.message_type):
            visit(f".{file.package}", (4, i), message)
        for i, enum in enumerate(file.enum_type):
            types[f".{file.package}.{enum.name}"] = (enum, comments, (5, i))
    return types


def text(comment):
    return re.sub(r"\s+", " ", comment).strip().replace("|", "\\|")


def short(name):
    return name.split(".")[-1]


def link(name):
    return f"[{short(name)}](#{short(name).lower()})"


def type_of(field, types):
    if field.type == FIELD.TYPE_MESSAGE:
        nested = types[field.type_name][0]
        if nested.options.map_entry:
            return f"map of text to {type_of(nested.field[1], types)}"
        word = "any value" if field.type_name.startswith(".google.protobuf") else link(field.type_name)
    elif field.type == FIELD.TYPE_ENUM:
        word = link(field.type_name)
    else:
        word = SCALARS[field.type]
    return f"list of {word}" if field.label == FIELD.LABEL_REPEATED else word


def references(message, types):
    for field in message.field:
        if field.type not in (FIELD.TYPE_MESSAGE, FIELD.TYPE_ENUM):
            continue
        if field.type_name.startswith(".google"):
            continue
        nested = types[field.type_name][0]
        if field.type == FIELD.TYPE_MESSAGE and nested.options.map_entry:
            yield from references(nested, types)
        else:
            yield field.type_name


def section(name, types):
    entry, comments, path = types[name]
    lines = [f"## {short(name)}", "", text(comments.get(path, "")), ""]
    if isinstance(entry, descriptor_pb2.EnumDescriptorProto):
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", entry.name).upper() + "_"
        lines += ["| value | meaning |", "|---|---|"]
        for i, value in enumerate(entry.value):
            if value.number:
                lines.append(f"| `{value.name.removeprefix(prefix).lower()}` | {text(comments.get(path + (2, i), ''))} |")
    elif entry.field:
        lines += ["| field | type | meaning |", "|---|---|---|"]
        for i, field in enumerate(entry.field):
            one_of = field.HasField("oneof_index") and not field.proto3_optional
            mark = f" *one of {entry.oneof_decl[field.oneof_index].name}*" if one_of else ""
            meaning = text(comments.get(path + (2, i), ""))
            lines.append(f"| `{field.name}` | {type_of(field, types)}{mark} | {meaning} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def page():
    types = parse()
    order, seen = [f".beamline.v1.{TOP}"], set()
    sections = []
    while order:
        name = order.pop(0)
        if name in seen:
            continue
        seen.add(name)
        sections.append(section(name, types))
        entry = types[name][0]
        if isinstance(entry, descriptor_pb2.DescriptorProto):
            order += [n for n in references(entry, types) if n not in seen]
    return HEAD + "\n" + "\n".join(sections)


def main():
    made = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != made:
            sys.exit("docs/reference/pipeline.md is not what the protos say: run tools/pipeline_reference.py")
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(made)


if __name__ == "__main__":
    main()
