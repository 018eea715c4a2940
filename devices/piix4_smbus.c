/* SMBus host controller. Intel 82371AB (PIIX4) data sheet (order number 290562), "SMBus I/O Space Registers".
 *
 * Nobody is on the bus: every transaction ends at once, not acknowledged. The slave interface does not exist (it reads
 * 0), and the end of a transaction raises no interrupt. */
#include "devices/piix4_smbus.h"

enum {
    SMBHSTSTS = 0,
    SMBHSTCNT = 2,
    SMBHSTCMD = 3,
    SMBHSTADD = 4,
    SMBHSTDAT0 = 5,
    SMBHSTDAT1 = 6,
};

#define STATUS_DEVICE_ERROR 0x04
#define STATUS_FAILED 0x10
#define STATUS_CLEARABLE 0x1e
#define CONTROL_KILL 0x02
#define CONTROL_START 0x40
#define CONTROL_KEPT 0x1d /* protocol, interrupt enable */

static uint64_t smbus_read(void *self, uint64_t offset, unsigned size)
{
    const struct piix4_smbus *smbus = self;
    (void)size; /* one byte ports */
    switch (offset) {
    case SMBHSTSTS: return smbus->status;
    case SMBHSTCNT: return smbus->control;
    case SMBHSTCMD: return smbus->command;
    case SMBHSTADD: return smbus->address;
    case SMBHSTDAT0: return smbus->data[0];
    case SMBHSTDAT1: return smbus->data[1];
    default: return 0;
    }
}

static void write_control(struct piix4_smbus *smbus, uint8_t value)
{
    smbus->control = value & CONTROL_KEPT;
    if (value & CONTROL_KILL)
        smbus->status |= STATUS_FAILED;
    else if (value & CONTROL_START)
        smbus->status |= STATUS_DEVICE_ERROR;
}

static void smbus_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_smbus *smbus = self;
    uint8_t byte = (uint8_t)value;
    (void)size;
    switch (offset) {
    case SMBHSTSTS: smbus->status &= (uint8_t) ~(byte & STATUS_CLEARABLE); break;
    case SMBHSTCNT: write_control(smbus, byte); break;
    case SMBHSTCMD: smbus->command = byte; break;
    case SMBHSTADD: smbus->address = byte; break;
    case SMBHSTDAT0: smbus->data[0] = byte; break;
    case SMBHSTDAT1: smbus->data[1] = byte; break;
    default: break;
    }
}

void piix4_smbus_init(struct piix4_smbus *smbus)
{
    smbus->window = (struct bus_window){ .read = smbus_read,
                                         .write = smbus_write,
                                         .self = smbus,
                                         .bytes = PIIX4_SMBUS_PORTS,
                                         .ports = true,
                                         .port_size = 1 };
}

void piix4_smbus_reset(struct piix4_smbus *smbus)
{
    smbus->status = smbus->control = smbus->command = smbus->address = 0;
    smbus->data[0] = smbus->data[1] = 0;
}

void piix4_smbus_state(struct piix4_smbus *smbus, struct snap *snap)
{
    SNAP(snap, smbus, status);
    SNAP(snap, smbus, control);
    SNAP(snap, smbus, command);
    SNAP(snap, smbus, address);
    SNAP_ALL(snap, smbus, data);
}
