#!/usr/bin/env bash
# A complete supervisor in the shell alone: a cell, its output, an answer to its question, an interrupt, the end.
# Run it as `examples/supervisor.sh [python|r]`, with `worker` on PATH or in the variable WORKER.
set -eu
set -- "${1:-python}"
if [ "$1" = r ]; then
    greet="name <- readline('who? '); cat('hello', name, '\\\\n')" spin="cat('spinning\\\\n'); repeat {}"
else
    greet="name = input('who? '); print('hello', name)" spin="print('spinning')\\nwhile True: pass"
fi

coproc IPC { exec "${WORKER:-worker}" --lang "$1" --ipc stdio; }
pid=$IPC_PID
exec {events}<&"${IPC[0]}" {requests}>&"${IPC[1]}"
say() { printf '%s\n' "$1" >&"$requests"; }

say '{"type": "input_batch", "to": "cell", "id": "greet", "input": "'"$greet"'"}'
say '{"type": "input_batch", "to": "cell", "id": "spin", "input": "'"$spin"'"}'
while read -r event <&"$events"; do # One JSON object a line; a longer program would parse it (with jq, say).
    printf '%s\n' "$event"
    case $event in
    *'"type":"input_wait"'*) say '{"type": "input_batch", "to": "stdin", "input": "Ada"}' ;;
    *'"type":"output_text"'*spinning*) say '{"type": "interrupt"}' ;; # It would spin for ever.
    *'"type":"ready"'*'"id":"spin"'*) say '{"type": "shutdown"}' ;;
    esac
done
wait "$pid" && echo "ended: 0" || echo "ended: $?"
