/* The DSDT: what of the machine cannot be found by asking it. Compiled by iasl when Pacifica is built, behind the C
 * preprocessor (dsdt.cmake). Source: ACPI 6.4, chapter 19 "ACPI Source Language Reference", 6.2 "Device Configuration",
 * 7.4 "OEM-Supplied System-Level Control Methods"; addresses are those of QEMU's `pc` machine.
 *
 * The DWords of the first scope are parameters: acpi.c patches them when it makes the tables. They are written with values
 * above FFFFh, so that iasl gives them four bytes. */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "PCFICA", "PACIFICA", 1)
{
    Scope (\)
    {
        Name (NCPU, 0x11110001)  // processors
        Name (PCIL, 0x11110002)  // first address behind the RAM below 4 GiB
        Name (HPTP, 0x11110003)  // is there an HPET?
        Name (KBDP, 0x11110004)  // is there a keyboard controller?
        Name (COM2, 0x11110005)  // is there a second serial port?

        Method (PRES, 1) // _STA of what is there, or is not
        {
            If (Arg0)
            {
                Return (0x0F)
            }
            Return (0)
        }

        Name (_S5, Package () { 0, 0, 0, 0 }) // SLP_TYP of PM1 for soft off
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)

            Name (CRES, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000, ,, PW32)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateDWordField (CRES, ^PW32._MIN, PMIN)
                CreateDWordField (CRES, ^PW32._MAX, PMAX)
                CreateDWordField (CRES, ^PW32._LEN, PLEN)
                PMIN = PCIL
                PLEN = PMAX - PMIN + 1
                Return (CRES)
            }

            // INTx of a slot: the four PIRQ lines, one further on for each slot. The power management function of
            // slot 1 has SCI, which is always interrupt 9.
#define SLOT(n, a, b, c, d) \
                Package () { ((n << 16) | 0xFFFF), 0, a, 0 }, \
                Package () { ((n << 16) | 0xFFFF), 1, b, 0 }, \
                Package () { ((n << 16) | 0xFFFF), 2, c, 0 }, \
                Package () { ((n << 16) | 0xFFFF), 3, d, 0 }
#define SLOTS_FROM(n) \
                SLOT(n, LNKA, LNKB, LNKC, LNKD), \
                SLOT((n + 1), LNKB, LNKC, LNKD, LNKA), \
                SLOT((n + 2), LNKC, LNKD, LNKA, LNKB), \
                SLOT((n + 3), LNKD, LNKA, LNKB, LNKC)
            Name (_PRT, Package ()
            {
                SLOT(1, LNKS, LNKB, LNKC, LNKD),
                SLOT(2, LNKB, LNKC, LNKD, LNKA),
                SLOT(3, LNKC, LNKD, LNKA, LNKB),
                SLOT(4, LNKD, LNKA, LNKB, LNKC),
                SLOTS_FROM(5), SLOTS_FROM(9), SLOTS_FROM(13), SLOTS_FROM(17), SLOTS_FROM(21), SLOTS_FROM(25),
                SLOT(29, LNKA, LNKB, LNKC, LNKD),
                SLOT(30, LNKB, LNKC, LNKD, LNKA),
                SLOT(31, LNKC, LNKD, LNKA, LNKB)
            })

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 0x04)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8,
                    PRQB, 8,
                    PRQC, 8,
                    PRQD, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 0x01, 0x08)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Method (_STA)
                    {
                        Return (PRES (KBDP))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
                        IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
                        IRQNoFlags () { 1 }
                    })
                }

                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Method (_STA)
                    {
                        Return (PRES (KBDP))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IRQNoFlags () { 12 }
                    })
                }

                Device (SER1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
                        IRQNoFlags () { 4 }
                    })
                }

                Device (SER2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 2)
                    Method (_STA)
                    {
                        Return (PRES (COM2))
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x02F8, 0x02F8, 0x00, 0x08)
                        IRQNoFlags () { 3 }
                    })
                }
            }
        }

        // The four PIRQ lines of the PIIX3, to be routed to interrupts 5, 10 or 11. Bit 7 of a register: not routed.
        Method (PSTA, 1)
        {
            If (Arg0 & 0x80)
            {
                Return (0x09)
            }
            Return (0x0B)
        }
        Name (LINE, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0 }
        })
        Method (PCRS, 1, Serialized)
        {
            CreateDWordField (LINE, 0x05, INTN)
            INTN = 0
            If (!(Arg0 & 0x80))
            {
                INTN = Arg0
            }
            Return (LINE)
        }

#define LINK(name, uid, reg) \
        Device (name) \
        { \
            Name (_HID, EisaId ("PNP0C0F")) \
            Name (_UID, uid) \
            Name (_PRS, ResourceTemplate () \
            { \
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 } \
            }) \
            Method (_STA) { Return (PSTA (reg)) } \
            Method (_DIS) { reg |= 0x80 } \
            Method (_CRS) { Return (PCRS (reg)) } \
            Method (_SRS, 1, Serialized) \
            { \
                CreateDWordField (Arg0, 0x05, WANT) \
                reg = WANT \
            } \
        }
        LINK(LNKA, 0, \_SB.PCI0.ISA.PRQA)
        LINK(LNKB, 1, \_SB.PCI0.ISA.PRQB)
        LINK(LNKC, 2, \_SB.PCI0.ISA.PRQC)
        LINK(LNKD, 3, \_SB.PCI0.ISA.PRQD)

        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (_PRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 9 }
            })
            Method (_STA) { Return (0x0B) }
            Method (_DIS) { }
            Method (_CRS) { Return (_PRS) }
            Method (_SRS, 1) { }
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0)
            Method (_STA)
            {
                Return (PRES (HPTP))
            }
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
            })
        }

        // What is there besides: ports of PM1, its timer and GPE0 belong to nobody else.
        Device (PMRS)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x00B2, 0x00B2, 0x01, 0x02)
                IO (Decode16, 0x0600, 0x0600, 0x01, 0x40)
                IO (Decode16, 0xAFE0, 0xAFE0, 0x01, 0x04)
            })
        }

#define CPU(name, uid) \
        Device (name) \
        { \
            Name (_HID, "ACPI0007") \
            Name (_UID, uid) \
            Method (_STA) { Return (PRES (LLess (uid, NCPU))) } \
        }
#define CPU8(name, uid) \
        CPU(name##0, uid) CPU(name##1, uid + 1) CPU(name##2, uid + 2) CPU(name##3, uid + 3) \
        CPU(name##4, uid + 4) CPU(name##5, uid + 5) CPU(name##6, uid + 6) CPU(name##7, uid + 7)
        CPU8(CP0, 0)
        CPU8(CP1, 8)
        CPU8(CP2, 16)
        CPU8(CP3, 24)
        CPU8(CP4, 32)
        CPU8(CP5, 40)
        CPU8(CP6, 48)
        CPU8(CP7, 56)
    }

    Scope (\_GPE)
    {
        Name (_HID, "ACPI0006")
    }
}
