/* Probe points: attaching clients and calling them. */
#include "emu/base/probe.h"

static bool hears(const struct probes *probes, const struct probe_client *client)
{
    return client->decides || !probes->muted;
}

static void probes_update(struct probes *probes)
{
    probes->mask = 0;
    for (const struct probe_client *c = probes->clients; c; c = c->next)
        if (hears(probes, c))
            probes->mask |= c->mask;
    probes->generation++;
}

void probes_attach(struct probes *probes, struct probe_client *client)
{
    struct probe_client **end = &probes->clients;
    while (*end)
        end = &(*end)->next;
    client->next = 0;
    *end = client;
    probes_update(probes);
}

void probes_detach(struct probes *probes, struct probe_client *client)
{
    for (struct probe_client **at = &probes->clients; *at; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            break;
        }
    }
    probes_update(probes);
}

void probes_mute(struct probes *probes, bool muted)
{
    probes->muted = muted;
    probes_update(probes);
}

void probes_fire(const struct probes *probes, const struct probe_event *event)
{
    for (const struct probe_client *c = probes->clients; c; c = c->next)
        if (((c->mask >> event->kind) & 1) && hears(probes, c))
            c->fire(c->self, event);
}
