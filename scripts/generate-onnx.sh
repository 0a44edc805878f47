#!/usr/bin/env bash
# Regenerates src/onnx/onnx_pb.ts from src/onnx/onnx.proto, the ONNX project's own description of its format
# (onnx-ml.proto of onnx 1.23.1, Apache-2.0). Needs protoc and Node 22.
set -euo pipefail
cd "$(dirname "$0")/.."
npx --yes --package @bufbuild/protoc-gen-es@2.17.0 -- \
  protoc -I src/onnx --es_out=src/onnx --es_opt=target=ts src/onnx/onnx.proto
