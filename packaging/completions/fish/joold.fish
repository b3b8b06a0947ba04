complete -c joold -s i -l interface -d 'Interface to the other nodes; ignored if the configuration names one' -r
complete -c joold -l name -d 'Name of this daemon, as in joold@NAME; without NETSOCKET.json the configuration is /etc/joold/NAME.json, if there is such a file, and NAME is the interface unless that file or --interface names one' -r
complete -c joold -l simulated-jool -d 'In place of the kernel\'s Jool use one in memory, with this many new sessions per second' -r
complete -c joold -l ended -d 'What is left to do when joold@NAME has ended: its node is not fit any more, unless systemd starts it again'
complete -c joold -s h -l help -d 'Print help (see more with \'--help\')'
complete -c joold -s V -l version -d 'Print version'
