/* The network cards of a machine. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

#include "devices/virtio_net.h"
#include "emu/base/diag.h"

#include <string.h>

static const uint8_t default_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

/* What the guest sends; self is a struct machine_card. */
static void card_sends(void *self, const void *frame, size_t size)
{
    struct machine_card *card = self;
    if (journal_send_begin(card->machine) && card->send)
        card->send(card->self, frame, size);
    journal_send_end(card->machine);
}

enum pacifica_status machine_add_nics(struct pacifica_machine *machine,
                                      const struct pacifica_options *options,
                                      struct pacifica_diag *diag)
{
    static const uint8_t none[6] = { 0 };
    if (options->nic_count > PACIFICA_NICS_MOST)
        return diag_set(diag, PACIFICA_EUSAGE, NULL, NULL, "more than %d network cards",
                        PACIFICA_NICS_MOST);
    for (size_t i = 0; i < options->nic_count; i++) {
        const struct pacifica_nic *nic = &options->nics[i];
        struct machine_card *card = &machine->card[i];
        struct virtio_net_config config = { .send = card_sends, .self = card };
        *card = (struct machine_card){ .machine = machine, .send = nic->send, .self = nic->self };
        uint8_t devfn = 0;
        bool given = memcmp(nic->mac, none, sizeof(none)) != 0;
        memcpy(config.mac, given ? nic->mac : default_mac, sizeof(config.mac));
        if (!given)
            config.mac[5] = (uint8_t)(config.mac[5] + i);
        if (config.mac[0] & 1)
            return diag_set(diag, PACIFICA_EUSAGE, "network card", NULL,
                            "its address is one of many cards: the first byte is odd");
        enum pacifica_status status = machine_free_place(machine, &devfn, diag);
        if (status != PACIFICA_OK)
            return status;
        machine->nic[i] = virtio_net_add(machine->bus, machine->pci, devfn, &config);
        if (!machine->nic[i])
            return diag_set(diag, PACIFICA_ENOMEM, NULL, NULL, "no memory for virtio-net");
        machine->nic_count++;
    }
    return PACIFICA_OK;
}

/* No guest reads it, so it is not noted as read. */
uint64_t pacifica_machine_time_ns(const struct pacifica_machine *machine)
{
    const struct vclock *clock = &machine->clock;
    uint64_t now = clock->now(clock->self);
    return now > clock->highest_ns ? now : clock->highest_ns;
}

bool pacifica_machine_wants_frames(const struct pacifica_machine *machine, unsigned nic)
{
    return nic < machine->nic_count && virtio_net_ready(machine->nic[nic]) &&
           machine_interruptible(machine);
}
