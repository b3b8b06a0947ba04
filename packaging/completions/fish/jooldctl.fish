# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_jooldctl_global_optspecs
    string join \n i/instance= h/help V/version
end

function __fish_jooldctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_jooldctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_jooldctl_using_subcommand
    set -l cmd (__fish_jooldctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c jooldctl -n "__fish_jooldctl_needs_command" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -s V -l version -d 'Print version'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "status" -d 'Show whether this node may take over, and who has everything if it dies; and how the daemons and their peers stand'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "peers" -d 'Show the nodes that the daemons have heard, and how far each is'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "watch" -d 'Show the daemons with rates per second, anew every second'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "fit" -d 'Say whether this node is fit to take over, and why; exit status 0 fit, 1 ready but holding back, 2 not fit, 3 it cannot be told'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "wait" -d 'Wait until the node is fit, or the daemon is synced, and before that until the daemon is there; exit status 75 if that takes too long'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "drain" -d 'Wait until another node has everything, and make this one unfit, so that its traffic moves there; this is kept until undrain or the next boot'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "undrain" -d 'Take a drain back, and have a node that holds back take the traffic'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "reload" -d 'Have the daemon read its configuration again, all or nothing, and say what that changed'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "advertise" -d 'Have the daemon send its Jool\'s whole table to the other nodes'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "resync" -d 'Have the daemon compare its sessions with those of its Jool and of another node, and say what it found'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "verify" -d 'Have the daemon compare what it has with what every other joold has, and say of each how many sessions differed and were taken; exit status 0 all agree, 1 some differed, 2 a node could not be compared'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "key" -d 'Make and show the keys that the nodes seal what they send with'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "log-level" -d 'Show or set what the daemon logs: debug, info, warning or err'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "check" -d 'Say everything that is wrong with a configuration, without running it; exit status 0 or 78. An interface has to be there if the file is in /etc/joold; any other file may be another host\'s'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "demo" -d 'Run three nodes with simulated Jools on this machine for some twelve seconds, with loss and a crash; exit status 0 if the standbys end up with every session, else 1'
complete -c jooldctl -n "__fish_jooldctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand status" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand status" -l json -d 'Print a JSON array'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand peers" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand peers" -l json -d 'Print a JSON array'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand peers" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand watch" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand watch" -l json -d 'Print a JSON array every second'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand watch" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand fit" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand fit" -l hold -d 'Tell systemd when the node is fit, and end when it is not any more'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand fit" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand wait" -l timeout -d 'How long at most, as in 30s, 500ms or 2m; 0: only look; without it for ever' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand wait" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand wait" -l fit -d 'Wait until the node is fit to take over'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand wait" -l synced -d 'Wait for the state "synced" with nothing missing'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand wait" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand drain" -l timeout -d 'How long to wait at most, as in 30s, 500ms or 2m; without it for ever' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand drain" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand drain" -l anyway -d 'Do it at once, whether or not another node has everything'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand drain" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand undrain" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand undrain" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand reload" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand advertise" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand advertise" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand resync" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand resync" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand verify" -l timeout -d 'How long to wait at most, as in 30s, 500ms or 2m' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand verify" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand verify" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and not __fish_seen_subcommand_from generate list help" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and not __fish_seen_subcommand_from generate list help" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and not __fish_seen_subcommand_from generate list help" -f -a "generate" -d 'Print a new key, as a line for the file of the keys; whoever reads it has the key'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and not __fish_seen_subcommand_from generate list help" -f -a "list" -d 'Show the keys of the daemons by fingerprint, which nodes have them, and which step is safe next'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and not __fish_seen_subcommand_from generate list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from generate" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from generate" -l send -d 'Seal with it: one key of the file has this'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from list" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Print a JSON array'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "generate" -d 'Print a new key, as a line for the file of the keys; whoever reads it has the key'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show the keys of the daemons by fingerprint, which nodes have them, and which step is safe next'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand log-level" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand log-level" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand check" -l interface -d 'Interface to the other nodes; ignored if the configuration names one' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand check" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand demo" -s i -l instance -d 'Name of the daemon, as in joold@NAME; needed if several run' -r
complete -c jooldctl -n "__fish_jooldctl_using_subcommand demo" -l json -d 'Print a JSON object per line instead of a picture'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand demo" -s h -l help -d 'Print help'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "status" -d 'Show whether this node may take over, and who has everything if it dies; and how the daemons and their peers stand'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "peers" -d 'Show the nodes that the daemons have heard, and how far each is'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "watch" -d 'Show the daemons with rates per second, anew every second'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "fit" -d 'Say whether this node is fit to take over, and why; exit status 0 fit, 1 ready but holding back, 2 not fit, 3 it cannot be told'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "wait" -d 'Wait until the node is fit, or the daemon is synced, and before that until the daemon is there; exit status 75 if that takes too long'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "drain" -d 'Wait until another node has everything, and make this one unfit, so that its traffic moves there; this is kept until undrain or the next boot'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "undrain" -d 'Take a drain back, and have a node that holds back take the traffic'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "reload" -d 'Have the daemon read its configuration again, all or nothing, and say what that changed'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "advertise" -d 'Have the daemon send its Jool\'s whole table to the other nodes'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "resync" -d 'Have the daemon compare its sessions with those of its Jool and of another node, and say what it found'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "verify" -d 'Have the daemon compare what it has with what every other joold has, and say of each how many sessions differed and were taken; exit status 0 all agree, 1 some differed, 2 a node could not be compared'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "key" -d 'Make and show the keys that the nodes seal what they send with'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "log-level" -d 'Show or set what the daemon logs: debug, info, warning or err'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "check" -d 'Say everything that is wrong with a configuration, without running it; exit status 0 or 78. An interface has to be there if the file is in /etc/joold; any other file may be another host\'s'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "demo" -d 'Run three nodes with simulated Jools on this machine for some twelve seconds, with loss and a crash; exit status 0 if the standbys end up with every session, else 1'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and not __fish_seen_subcommand_from status peers watch fit wait drain undrain reload advertise resync verify key log-level check demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "generate" -d 'Print a new key, as a line for the file of the keys; whoever reads it has the key'
complete -c jooldctl -n "__fish_jooldctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "list" -d 'Show the keys of the daemons by fingerprint, which nodes have them, and which step is safe next'
