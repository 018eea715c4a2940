# Made by tools/make-tables from emu/cli/commands.def and the option tables. Do not edit; make check compares.
# Completion for bash: the subcommand, its options and verbs, files elsewhere.
_pacifica()
{
    local word=${COMP_WORDS[COMP_CWORD]} words=
    case ${COMP_WORDS[1]} in
    test) words="-tap -junit -j -filter -max-insns -last -times -help" ;;
    features) words="max epyc-naples epyc-rome epyc-milan epyc-genoa epyc-turin ryzen-zen ryzen-zen-plus ryzen-zen2 ryzen-zen3 ryzen-zen4 ryzen-zen5" ;;
    msrs) words="max epyc-naples epyc-rome epyc-milan epyc-genoa epyc-turin ryzen-zen ryzen-zen-plus ryzen-zen2 ryzen-zen3 ryzen-zen4 ryzen-zen5" ;;
    exits) words="CR0_READ CR1_READ CR2_READ CR3_READ CR4_READ CR5_READ CR6_READ CR7_READ CR8_READ CR9_READ CR10_READ CR11_READ CR12_READ CR13_READ CR14_READ CR15_READ CR0_WRITE CR1_WRITE CR2_WRITE CR3_WRITE CR4_WRITE CR5_WRITE CR6_WRITE CR7_WRITE CR8_WRITE CR9_WRITE CR10_WRITE CR11_WRITE CR12_WRITE CR13_WRITE CR14_WRITE CR15_WRITE DR0_READ DR1_READ DR2_READ DR3_READ DR4_READ DR5_READ DR6_READ DR7_READ DR8_READ DR9_READ DR10_READ DR11_READ DR12_READ DR13_READ DR14_READ DR15_READ DR0_WRITE DR1_WRITE DR2_WRITE DR3_WRITE DR4_WRITE DR5_WRITE DR6_WRITE DR7_WRITE DR8_WRITE DR9_WRITE DR10_WRITE DR11_WRITE DR12_WRITE DR13_WRITE DR14_WRITE DR15_WRITE EXCP0 EXCP1 EXCP2 EXCP3 EXCP4 EXCP5 EXCP6 EXCP7 EXCP8 EXCP9 EXCP10 EXCP11 EXCP12 EXCP13 EXCP14 EXCP15 EXCP16 EXCP17 EXCP18 EXCP19 EXCP20 EXCP21 EXCP22 EXCP23 EXCP24 EXCP25 EXCP26 EXCP27 EXCP28 EXCP29 EXCP30 EXCP31 INTR NMI SMI INIT VINTR CR0_SEL_WRITE IDTR_READ GDTR_READ LDTR_READ TR_READ IDTR_WRITE GDTR_WRITE LDTR_WRITE TR_WRITE RDTSC RDPMC PUSHF POPF CPUID RSM IRET SWINT INVD PAUSE HLT INVLPG INVLPGA IOIO MSR TASK_SWITCH FERR_FREEZE SHUTDOWN VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP ICEBP WBINVD MONITOR MWAIT MWAIT_CONDITIONAL XSETBV RDPRU EFER_WRITE_TRAP CR0_WRITE_TRAP CR1_WRITE_TRAP CR2_WRITE_TRAP CR3_WRITE_TRAP CR4_WRITE_TRAP CR5_WRITE_TRAP CR6_WRITE_TRAP CR7_WRITE_TRAP CR8_WRITE_TRAP CR9_WRITE_TRAP CR10_WRITE_TRAP CR11_WRITE_TRAP CR12_WRITE_TRAP CR13_WRITE_TRAP CR14_WRITE_TRAP CR15_WRITE_TRAP INVLPGB INVLPGB_ILLEGAL INVPCID MCOMMIT TLBSYNC BUSLOCK IDLE_HLT NPF AVIC_INCOMPLETE_IPI AVIC_NOACCEL VMGEXIT INVALID BUSY IDLE_REQUIRED INVALID_PMC" ;;
    vmcb) words="dump diff check -cpu" ;;
    trace) words="stat -trace -top show diff -ignore -context convert" ;;
    snap) words="list info diff" ;;
    *) words="-kernel -append -initrd -bios -rom -load-at -drive -hda -hdb -hdc -hdd -cdrom -boot -snapshot -m -smp -cpu -device -netdev -nic -fw_cfg -no-reboot -machine -M -accel -enable-kvm -no-shutdown -rtc -name -k -mon -smbios -global -loadvm -seed -realtime -serial -debugcon -chardev -nographic -nodefaults -display -vga -screendump-at -monitor -record -replay -travel -savevm-at -net -vnc -parallel -d -D -trace -trace-format -trace-ring -trace-file -exit-stats -info -state-hash -s -S -magic-break -gdb -max-insns -max-time -stop-on -qemu-exit-codes -exact-blocks -drop-fast-every -version -help -h" ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ] && [ "${word#-}" = "$word" ]; then
        words="run test features msrs exits vmcb trace snap"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _pacifica pacifica
