#!/usr/bin/env bash
# cwltool 3.3.20260925135507: a tool without a container changes the caller's own file where it writes into an input of its working directory.
#
# InitialWorkDirRequirement puts an input into the working directory of the tool, which is a new one for each run. That is a link to the caller's file unless the entry says
# `writable: true`: a program that appends to it, as many do with a table or an index, appends to the original. The run has succeeded, and the next run begins
# with other data. In a container the file is mounted for reading, and the same tool fails.
# Seen on 2026-12-01 of a tool that appends a line to its copy, run twice:
#   data.txt: 1 line before, 3 lines after, exit codes 0 0
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet cwltool==3.3.20260925135507
cd "$directory"
cat >append.cwl <<'CWL'
cwlVersion: v1.2
class: CommandLineTool
requirements:
  ShellCommandRequirement: {}
  InitialWorkDirRequirement:
    listing: [$(inputs.data)]
inputs:
  data: File
arguments: [{shellQuote: false, valueFrom: "echo more >> data.txt; wc -l < data.txt"}]
stdout: lines
outputs:
  lines: stdout
CWL
echo first >data.txt
before=$(wc -l <data.txt)
run() { timeout 120 env/bin/cwltool --quiet --outdir "$1" append.cwl --data data.txt >/dev/null 2>log && echo 0 || echo $?; }
codes="$(run first) $(run second)"
told="data.txt: $before line before, $(wc -l <data.txt) lines after, exit codes $codes"
echo "$told"
[ "$told" = "data.txt: 1 line before, 3 lines after, exit codes 0 0" ] || { cat log; echo "it has changed" >&2; exit 1; }
