/**
 * The shell scripts that are process 1 of a container: build the root, start the command, forward signals, reap.
 *
 * File descriptor 3 tells the runtime how far it is: `pid N` (N in the runtime's pid namespace), `terminal` and `confined`
 * where something is needed of it then, which it answers with a line, and `ready` once the command was started. Any step that fails ends the script (`set -e`), so that no command ever runs on a root that is not
 * finished.
 *
 * The container's volumes may lie over any program, so that no program runs with the runtime's rights after they are
 * mounted: process 1 gives its rights up first, and one process that was started before mounts them.
 */
import { mountsFolder, oldRoot } from './root-plan.ts';

/** Starts the command with the rights that the script has, as its child or (`exec`) in its place. Its input is descriptor 6. */
const startCommand = `
[ -d "$directory" ] || mkdir -p "$directory"
cd "$directory"
if [ -t 6 ]; then
  # In a session of its own that has the terminal for its controlling one.
  set -- setsid --ctty "$@"
  exec >&6 2>&6
fi
if [ "$mode" = exec ]; then
  echo ready >&3
  exec "$@" <&6 3>&- 6<&-
fi
"$@" <&6 3>&- 6<&- &
child=$!
for signal in HUP INT QUIT TERM USR1 USR2; do
  trap "kill -$signal $child 2>/dev/null || :" "$signal"
done
echo ready >&3
# The shell would write "Terminated" into the container's log.
exec 3>&- 6<&- >/dev/null 2>&1
while :; do
  status=0
  wait "$child" || status=$?
  kill -0 "$child" 2>/dev/null || break
done
exit "$status"
`;

/**
 * Arguments: folder, input ("tty" for a terminal), working directory, mode, command. Modes: "init", "exec" (the container
 * shares a pid namespace: the command replaces the shell), "confined" (the command gives the rights up, and leads to
 * `confinedScript`).
 */
export const containerScript: string = `
set -eu
folder=$1 input=$2 directory=$3 mode=$4
shift 4
exec 6<&0 </dev/null
read -r pid rest </proc/self/stat
echo "pid $pid" >&3
mount -a -T "$folder/before.fstab"
while read -r path identity; do
  [ "$(stat -c %d:%i "$folder/root$path")" = "$identity" ] && continue
  echo "a path inside a volume was exchanged while it was mounted" >&2
  exit 1
done <"$folder/identities"
pivot_root "$folder/root" "$folder/root${oldRoot}"
cd /
umount -l ${oldRoot}
rmdir ${oldRoot}
while read -r target; do
  [ -e "$target" ] && continue
  parent=\${target%/*}
  [ -z "$parent" ] || mkdir -p "$parent"
  : >"$target"
done <${mountsFolder}/files
while read -r target; do
  [ -d "$target" ] || mkdir -p "$target"
done <${mountsFolder}/folders
if [ "$input" = tty ]; then
  echo terminal >&3
  read -r number <&3
  exec 6<>"/dev/pts/$number"
fi
mkfifo ${mountsFolder}/confined ${mountsFolder}/mounted
while read -r target; do
  mount -n -o remount,bind,ro "$target"
done <${mountsFolder}/read-only
if [ "$mode" = confined ]; then
  # Not a child of what becomes the command: that may wait for its children.
  (
    (
      exec 3>&- 5<>${mountsFolder}/mounted 6<&-
      read -r word <${mountsFolder}/confined
      mount -n -a -T ${mountsFolder}/fstab
      echo done >&5
    ) &
  )
  exec "$@"
fi
mount -n -a -T ${mountsFolder}/fstab
${startCommand}
`;

/** The same process from the moment it is confined. Arguments: mode ("init" or "exec"), working directory, the command. */
export const confinedScript: string = `
set -eu
mode=$1 directory=$2
shift 2
if [ "$mode" = exec ]; then
  echo confined >&3
  read -r word <&3
fi
exec 5<${mountsFolder}/mounted
echo go >${mountsFolder}/confined
read -r word <&5
exec 5<&-
${startCommand}
`;
