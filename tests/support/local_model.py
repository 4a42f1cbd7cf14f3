"""A small embedding model as fastembed loads one, made here: weights of a real one cannot be had in a test.

A text's vector is the mean of its words' vectors; words of one meaning share theirs.
"""

import json
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SIZE = 32
WEIGHTS = "model_optimized.onnx"
"""The name that the default model's weights have."""
SPECIAL = ("[PAD]", "[UNK]")


def make_model(folder: Path, *meanings: tuple[str, ...]) -> Path:
    """The model's files in `folder`; of `meanings`, the words of each share a vector. Others add nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = numpy.random.default_rng(7).normal(size=(len(meanings), SIZE)).astype(numpy.float32)
    vocabulary = {token: number for number, token in enumerate(SPECIAL)}
    table = [numpy.zeros(SIZE, numpy.float32) for _ in SPECIAL]
    for number, words in enumerate(meanings):
        for word in words:
            vocabulary[word] = len(table)
            table.append(vectors[number])
    onnx.save(_graph(numpy.stack(table)), str(folder / WEIGHTS))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, "pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    return folder


def _graph(table: "numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]") -> onnx.ModelProto:
    """Inputs as BERT's; the output has one place, which is where a model of this kind is read."""
    places = ["texts", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, places)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
        helper.make_node("Mul", ["words", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "first"], ["last_hidden_state"], keepdims=1),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(numpy.array([2], dtype=numpy.int64), "last"),
        numpy_helper.from_array(numpy.array([1], dtype=numpy.int64), "first"),
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", 1, SIZE])
    graph = helper.make_graph(nodes, "words", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
