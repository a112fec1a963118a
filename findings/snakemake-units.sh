#!/usr/bin/env bash
# Snakemake 9.27.1: runtime="119s" is one minute, and mem="2Gi" is 2000 MB.
#
# Executors are handed whole minutes, and what is over is cut off (but a text below a minute is one, and the number 1.9 is two): so a job that says it takes 119
# seconds is ended after 60 where limits hold. The binary units need their B: 2GiB is 2148 MB, and 2Gi, as Kubernetes writes it, is what 2GB is.
# Seen on 2026-11-29:
#   runtime: "59s" 1, "119s" 1, "2m" 2, 1.9 2 minutes
#   mem: "2GB" 2000, "2Gi" 2000, "2GiB" 2148 MB
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/env"
"$directory/env/bin/pip" install --quiet snakemake==9.27.1
cd "$directory"
understood() { # understood NAME VALUE TOLD: what a rule with this resource is told of
  printf 'rule one:\n    output: "told"\n    resources: %s=%s\n    shell: "echo {resources.%s} >{output}"\n' "$1" "$2" "$3" >Snakefile
  timeout 90 env/bin/snakemake --quiet all --forceall --cores 1 >log 2>&1 || { cat log >&2; exit 1; }
  printf '%s %s' "$2" "$(cat told)"
}
line() { # line NAME TOLD UNIT VALUES...
  local name=$1 told=$2 unit=$3 found=()
  shift 3
  for value in "$@"; do found+=("$(understood "$name" "$value" "$told")"); done
  (IFS=,; echo "$name: ${found[*]} $unit") | sed 's/,/, /g'
}
times=$(line runtime runtime minutes '"59s"' '"119s"' '"2m"' 1.9)
sizes=$(line mem mem_mb MB '"2GB"' '"2Gi"' '"2GiB"')
printf '%s\n' "$times" "$sizes"
[ "$times" = 'runtime: "59s" 1, "119s" 1, "2m" 2, 1.9 2 minutes' ] || { echo "it has changed" >&2; exit 1; }
[ "$sizes" = 'mem: "2GB" 2000, "2Gi" 2000, "2GiB" 2148 MB' ] || { echo "it has changed" >&2; exit 1; }
