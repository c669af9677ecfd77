/**
 * The shell script that is process 1 of a container: builds the root, starts the command, forwards signals, reaps.
 *
 * File descriptor 3 tells the runtime how far it is: `pid N` (N in the runtime's pid namespace), then `ready` once the
 * command was started. Any step that fails ends the script (`set -e`), so that no command ever runs on a root that is not
 * finished.
 *
 * Arguments: folder, host name ("" keeps it), working directory, "init" or "exec", then the command.
 * "exec" (the container shares init's pid namespace) replaces the shell by the command.
 */
import { oldRoot } from './root-plan.ts';

export const containerScript: string = `
set -eu
folder=$1 name=$2 directory=$3 mode=$4
shift 4
read -r pid rest </proc/self/stat
echo "pid $pid" >&3
mount -a -T "$folder/before.fstab"
pivot_root "$folder/root" "$folder/root${oldRoot}"
cd /
while read -r target; do
  [ -e "$target" ] && continue
  parent=\${target%/*}
  [ -z "$parent" ] || mkdir -p "$parent"
  : >"$target"
done <"${oldRoot}$folder/file-targets"
mount -a -T "${oldRoot}$folder/after.fstab"
umount -l ${oldRoot}
rmdir ${oldRoot}
[ -z "$name" ] || hostname "$name"
[ -d "$directory" ] || mkdir -p "$directory"
cd "$directory"
if [ "$mode" = exec ]; then
  echo ready >&3
  exec "$@" 3>&-
fi
"$@" </dev/null 3>&- &
child=$!
for signal in HUP INT QUIT TERM USR1 USR2; do
  trap "kill -$signal $child 2>/dev/null || :" "$signal"
done
echo ready >&3
# The shell would write "Terminated" into the container's log.
exec 3>&- >/dev/null 2>&1
while :; do
  status=0
  wait "$child" || status=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$status"
`;
