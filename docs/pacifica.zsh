#compdef pacifica
# Made by tools/make-tables from emu/cli/commands.def and the option tables. Do not edit; make check compares.
# Completion for zsh: the subcommand, its options and verbs, files elsewhere.
_pacifica()
{
    local -a commands options
    commands=(
        'run:run a machine; the same without the word'
        'test:run ROMs and hold them against their expectations'
        'features:print the CPUID features, and which models have them; or those of a model'
        'msrs:print the model-specific registers of a model (max)'
        'exits:print the #VMEXIT codes, or all that is known of one'
        'vmcb:print every field of a saved VMCB, a page of 4096 bytes'
        'trace:count the #VMEXITs of a trace in JSON lines, and what they cost'
        'snap:print the snapshots that -savevm-at and the monitor'\''s savevm have made'
    )
    options=(
        '-kernel:run this image: Linux bzImage, Multiboot 1, Multiboot 2 or PVH ELF'
        '-append:its command line'
        '-initrd:Linux: its initial RAM disk; else modules, each with arguments; ,, is a comma'
        '-bios:run this firmware from the reset vector; looked for where Debian'\''s seabios is, too'
        '-rom:the same from this file only, or with -load-at a further ROM'
        '-load-at:where the last -rom lies (its end at 4 GiB, and the last 128 KiB at 1 MiB)'
        '-drive:a raw disk image: if=ide|virtio|pflash|none, media=disk|cdrom, index=0..3, readonly=on, snapshot=off writes to F, snapshot-max=SIZE of memory (4G)'
        '-hda:the same as the first drive; -hdb, -hdc and -hdd are the others'
        '-hdb:'
        '-hdc:'
        '-hdd:'
        '-cdrom:a CD-ROM drive in the place of -hdc, with this image'
        '-boot:firmware tries a floppy (a), disk (c), CD (d), network (n) in this order (cda)'
        '-snapshot:write to no image, whatever -drive says'
        '-m:guest memory in MiB, or with a suffix K, M, G (512M)'
        '-smp:processors, 1 to 64 (1)'
        '-cpu:processor model and features; '\''help'\'' lists them'
        '-device:add this device; '\''?'\'' lists them'
        '-netdev:a network for -device virtio-net-pci: restrict=off lets the guest out, hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT lets others in'
        '-nic:a network and its card; as -netdev with model=virtio-net-pci, mac=ADDRESS'
        '-fw_cfg:add a file to the fw_cfg device'
        '-no-reboot:end when the guest resets the machine'
        '-machine:'
        '-M:'
        '-accel:'
        '-enable-kvm:'
        '-no-shutdown:'
        '-rtc:'
        '-name:'
        '-k:'
        '-mon:'
        '-smbios:'
        '-global:'
        '-loadvm:begin with the machine of this snapshot; the other options are those it was saved with'
        '-seed:seed of the random numbers that the guest gets (a fixed one)'
        '-realtime:the guest'\''s time follows the workstation'\''s; without it every run is the same'
        '-serial:where COM1 goes, the second time COM2: stdio (COM1'\''s default), file:F, unix:P or tcp:H:PORT [,server[,nowait]], pty, null; with mon: a monitor is behind Ctrl-A c'
        '-debugcon:add isa-debugcon at port 0xe9, going there'
        '-chardev:name a stdio, file, socket, pty or null for -device, -monitor and -serial chardev:ID: path=F, host=H, port=N, server=on, wait=off'
        '-nographic:serial line and monitor on stdio: Ctrl-A h tells the keys'
        '-nodefaults:serial nowhere unless -serial says where'
        '-display:a window with screen, keyboard and mouse, best with -realtime; Ctrl-Alt-G releases the mouse (none)'
        '-vga:the display adapter: QEMU'\''s standard VGA (the default, but with -nodefaults)'
        '-screendump-at:after N steps, or at the end, save the screen to F: as text if F ends in .txt, else as PNG'
        '-monitor:where commands for the machine come from, as for -serial: stdio, unix:P,server,nowait, ...; '\''help'\'' there lists them'
        '-record:write all that enters the machine from outside to F, with the moments at which it does'
        '-replay:run by the recording F: the same run again, as long as it was; the other options are those it was made with'
        '-travel:let debuggers go back: a checkpoint every N steps (100000000), in at most so much memory (1G)'
        '-savevm-at:after N steps, or at the end, save a snapshot to F'
        '-net:'
        '-vnc:'
        '-parallel:'
        '-d:log these events; '\''help'\'' lists them'
        '-D:log to this file (standard error)'
        '-trace:trace these events; '\''help'\'' lists them'
        '-trace-format:form of the trace (text)'
        '-trace-ring:keep the last N events, and write them when something goes wrong'
        '-trace-file:trace to this file (standard error)'
        '-exit-stats:at the end print tables of #VMEXITs and the TLB, steps, memory'
        '-info:at the end tell this of each processor; '\''help'\'' lists the items'
        '-state-hash:at the end print a hash of the machine'\''s state'
        '-s:the same as -gdb tcp::1234'
        '-S:do not start before a debugger or monitor says so'
        '-magic-break:stop at XCHG BX, BX for a debugger or monitor, as Bochs does'
        '-gdb:wait for GDB at tcp:[HOST]:PORT (this workstation only; port 0: any), unix:P, stdio, pty, chardev:ID or none'
        '-max-insns:end with status 4 after N steps'
        '-max-time:end with status 4 after so long'
        '-stop-on:end at vmexit-invalid, triple-fault, unimplemented or guest-error'
        '-qemu-exit-codes:with -no-reboot, status 0 after a triple fault'
        '-exact-blocks:decode one instruction at a time (changes no result)'
        '-drop-fast-every:forget derived tables every N steps (changes no result)'
        '-version:print the version'
        '-help:print this'
        '-h:'
    )
    if (( CURRENT == 2 )) && [[ $PREFIX != -* ]]; then
        _describe command commands
        return
    fi
    case $words[2] in
    test) compadd -- -tap -junit -j -filter -max-insns -last -times -help ;;
    features) compadd -- max epyc-naples epyc-rome epyc-milan epyc-genoa epyc-turin ryzen-zen ryzen-zen-plus ryzen-zen2 ryzen-zen3 ryzen-zen4 ryzen-zen5 ;;
    msrs) compadd -- max epyc-naples epyc-rome epyc-milan epyc-genoa epyc-turin ryzen-zen ryzen-zen-plus ryzen-zen2 ryzen-zen3 ryzen-zen4 ryzen-zen5 ;;
    exits) compadd -- CR0_READ CR1_READ CR2_READ CR3_READ CR4_READ CR5_READ CR6_READ CR7_READ CR8_READ CR9_READ CR10_READ CR11_READ CR12_READ CR13_READ CR14_READ CR15_READ CR0_WRITE CR1_WRITE CR2_WRITE CR3_WRITE CR4_WRITE CR5_WRITE CR6_WRITE CR7_WRITE CR8_WRITE CR9_WRITE CR10_WRITE CR11_WRITE CR12_WRITE CR13_WRITE CR14_WRITE CR15_WRITE DR0_READ DR1_READ DR2_READ DR3_READ DR4_READ DR5_READ DR6_READ DR7_READ DR8_READ DR9_READ DR10_READ DR11_READ DR12_READ DR13_READ DR14_READ DR15_READ DR0_WRITE DR1_WRITE DR2_WRITE DR3_WRITE DR4_WRITE DR5_WRITE DR6_WRITE DR7_WRITE DR8_WRITE DR9_WRITE DR10_WRITE DR11_WRITE DR12_WRITE DR13_WRITE DR14_WRITE DR15_WRITE EXCP0 EXCP1 EXCP2 EXCP3 EXCP4 EXCP5 EXCP6 EXCP7 EXCP8 EXCP9 EXCP10 EXCP11 EXCP12 EXCP13 EXCP14 EXCP15 EXCP16 EXCP17 EXCP18 EXCP19 EXCP20 EXCP21 EXCP22 EXCP23 EXCP24 EXCP25 EXCP26 EXCP27 EXCP28 EXCP29 EXCP30 EXCP31 INTR NMI SMI INIT VINTR CR0_SEL_WRITE IDTR_READ GDTR_READ LDTR_READ TR_READ IDTR_WRITE GDTR_WRITE LDTR_WRITE TR_WRITE RDTSC RDPMC PUSHF POPF CPUID RSM IRET SWINT INVD PAUSE HLT INVLPG INVLPGA IOIO MSR TASK_SWITCH FERR_FREEZE SHUTDOWN VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP ICEBP WBINVD MONITOR MWAIT MWAIT_CONDITIONAL XSETBV RDPRU EFER_WRITE_TRAP CR0_WRITE_TRAP CR1_WRITE_TRAP CR2_WRITE_TRAP CR3_WRITE_TRAP CR4_WRITE_TRAP CR5_WRITE_TRAP CR6_WRITE_TRAP CR7_WRITE_TRAP CR8_WRITE_TRAP CR9_WRITE_TRAP CR10_WRITE_TRAP CR11_WRITE_TRAP CR12_WRITE_TRAP CR13_WRITE_TRAP CR14_WRITE_TRAP CR15_WRITE_TRAP INVLPGB INVLPGB_ILLEGAL INVPCID MCOMMIT TLBSYNC BUSLOCK IDLE_HLT NPF AVIC_INCOMPLETE_IPI AVIC_NOACCEL VMGEXIT INVALID BUSY IDLE_REQUIRED INVALID_PMC ;;
    vmcb) compadd -- dump diff check -cpu ;;
    trace) compadd -- stat -trace -top show diff -ignore -context convert ;;
    snap) compadd -- list info diff ;;
    *)
        if [[ $PREFIX == -* ]]; then
            _describe -o option options
            return
        fi
        ;;
    esac
    _files
}
_pacifica "$@"
