/* What a CD-ROM drive tells of itself and its disc. SPC-3 (T10/1416D), MMC-5 (T10/1675D). A disc has one session with one
 * data track. */
#include "devices/ide_priv.h"

#include <string.h>

#define LEAD_OUT 0xaau
#define TRACK_DATA 0x14u /* ADR 1, a data track that may not be copied */
#define CD_SECTORS_MOST \
    (80u * 60 * 75 + 45000) /* CHOICE: what exceeds 90 minutes is told to be a DVD */

#define PROFILE_CD_ROM 0x0008u
#define PROFILE_DVD_ROM 0x0010u

static uint32_t profile(const struct ide_drive *drive)
{
    if (!cd_loaded(drive))
        return 0;
    return cd_sectors(drive) > CD_SECTORS_MOST ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* SPC-3, 4.5.3: fixed format, asked for once. */
static uint32_t request_sense(struct ide_drive *drive, uint8_t *to)
{
    struct ide_cd *cd = &drive->cd;
    to[0] = 0x70;
    to[2] = cd->key;
    to[7] = 10;
    to[12] = cd->code;
    to[13] = cd->qualifier;
    cd->key = cd->code = cd->qualifier = 0;
    return 18;
}

/* SPC-3, 6.4. */
static uint32_t inquiry(const uint8_t *packet, uint8_t *to, enum cd_sense *sense)
{
    if ((packet[1] & 1) || packet[2]) { /* vital product data */
        *sense = CD_BAD_FIELD;
        return 0;
    }
    to[0] = 0x05; /* a CD-ROM drive */
    to[1] = 0x80; /* with removable discs */
    to[3] = 0x21; /* ATAPI */
    to[4] = 31;
    memcpy(to + 8, "PACIFICACD-ROM          1.0 ", 28);
    return 36;
}

/* MMC-5, 6.26. */
static uint32_t read_capacity(const struct ide_drive *drive, uint8_t *to)
{
    uint32_t sectors = cd_sectors(drive);
    cd_put(to, 4, sectors ? sectors - 1 : 0);
    cd_put(to + 4, 4, CD_SECTOR);
    return 8;
}

/* --- READ TOC/PMA/ATIP, MMC-5 6.30 ----------------------------------------------------------------------- */

static void put_address(uint8_t *to, uint32_t sector, bool msf)
{
    if (!msf) {
        cd_put(to, 4, sector);
        return;
    }
    sector += 150;
    to[1] = (uint8_t)(sector / 75 / 60);
    to[2] = (uint8_t)(sector / 75 % 60);
    to[3] = (uint8_t)(sector % 75);
}

static uint8_t *put_track(uint8_t *to, uint8_t track, uint32_t sector, bool msf)
{
    to[1] = TRACK_DATA;
    to[2] = track;
    put_address(to + 4, sector, msf);
    return to + 8;
}

/* An entry of the lead-in: its point, and an address or two numbers. */
static uint8_t *put_point(uint8_t *to, uint8_t point, uint8_t m, uint8_t s, uint8_t f)
{
    to[0] = 1; /* session */
    to[1] = TRACK_DATA;
    to[3] = point;
    to[8] = m;
    to[9] = s;
    to[10] = f;
    return to + 11;
}

static uint8_t *put_lead_in(uint8_t *at, uint32_t sectors)
{
    uint8_t end[4] = { 0 };
    put_address(end, sectors, true);
    at = put_point(at, 0xa0, 1, 0, 0); /* the first track */
    at = put_point(at, 0xa1, 1, 0, 0); /* the last */
    at = put_point(at, 0xa2, end[1], end[2], end[3]);
    return put_point(at, 1, 0, 2, 0);
}

static uint32_t read_toc(const struct ide_drive *drive, const uint8_t *packet, uint8_t *to,
                         enum cd_sense *sense)
{
    bool msf = packet[1] & 2;
    uint8_t format = packet[2] & 0x0f, *at = to + 4;
    if (format == 0)
        format = packet[9] >> 6; /* where SFF 8020 had it */
    to[2] = to[3] = 1;           /* first and last track or session */
    if (format == 0 && (packet[6] <= 1 || packet[6] == LEAD_OUT)) {
        if (packet[6] <= 1)
            at = put_track(at, 1, 0, msf);
        at = put_track(at, LEAD_OUT, cd_sectors(drive), msf);
    } else if (format == 1) {
        at = put_track(at, 1, 0, msf);
    } else if (format == 2) {
        at = put_lead_in(at, cd_sectors(drive));
    } else {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    cd_put(to, 2, (uint32_t)(at - to) - 2);
    return (uint32_t)(at - to);
}

/* --- GET CONFIGURATION, MMC-5 6.5 ------------------------------------------------------------------------- */

struct feature {
    uint16_t code;
    uint8_t flags; /* version << 2 | persistent << 1 | current */
    uint8_t bytes;
    uint8_t data[12];
};

static uint8_t *put_feature(uint8_t *to, const struct feature *feature)
{
    cd_put(to, 2, feature->code);
    to[2] = feature->flags;
    to[3] = feature->bytes;
    memcpy(to + 4, feature->data, feature->bytes);
    return to + 4 + feature->bytes;
}

/* Features from a number on: all, those that are current, or this one alone. */
static uint32_t get_configuration(const struct ide_drive *drive, const uint8_t *packet, uint8_t *to,
                                  enum cd_sense *sense)
{
    uint32_t now = profile(drive), first = cd_get(packet + 2, 2);
    uint8_t cd = now == PROFILE_CD_ROM, dvd = now == PROFILE_DVD_ROM, any = cd | dvd;
    const struct feature features[] = {
        { 0x0000, 3, 8, { 0, PROFILE_DVD_ROM, dvd, 0, 0, PROFILE_CD_ROM, cd, 0 } },
        { 0x0001, 0x0b, 8, { 0, 0, 0, 2, 1, 0, 0, 0 } }, /* core: ATAPI */
        { 0x0003, 0x0b, 4, { 0x29, 0, 0, 0 } },          /* a tray that can be locked and opens */
        { 0x0010, any, 8, { 0, 0, CD_SECTOR >> 8, 0, 0, 1, 0, 0 } }, /* reads anywhere */
        { 0x001e, 0x08 | cd, 4, { 0 } },                             /* reads CDs */
        { 0x001f, 0x08 | dvd, 4, { 0 } },                            /* reads DVDs */
    };
    uint8_t kind = packet[1] & 3, *at = to + 8;
    if (kind == 3) {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        bool wanted = kind == 2 ? features[i].code == first : features[i].code >= first;
        if (wanted && (kind != 1 || features[i].flags & 1))
            at = put_feature(at, &features[i]);
    }
    cd_put(to, 4, (uint32_t)(at - to) - 4);
    cd_put(to + 6, 2, now);
    return (uint32_t)(at - to);
}

/* GET EVENT STATUS NOTIFICATION, MMC-5 6.6: polled, of the class Media. */
static uint32_t get_event(struct ide_drive *drive, const uint8_t *packet, uint8_t *to,
                          enum cd_sense *sense)
{
    if (!(packet[1] & 1)) {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    to[3] = 0x10; /* the classes there are */
    if (!(packet[4] & 0x10)) {
        cd_put(to, 2, 2);
        to[2] = 0x80; /* none of those asked for */
        return 4;
    }
    cd_put(to, 2, 6);
    to[2] = 4;
    to[4] = drive->cd.event ? 2 : 0; /* a new disc */
    to[5] = (uint8_t)((drive->cd.open ? 1 : 0) | (cd_loaded(drive) ? 2 : 0));
    drive->cd.event = false;
    return 8;
}

/* --- MODE SENSE (10), MMC-5 6.11 and SPC-3 7.4 ---------------------------------------------------------------- */

static uint8_t *put_recovery(uint8_t *to)
{
    to[0] = 0x01;
    to[1] = 6;
    to[3] = 5; /* retries */
    return to + 8;
}

static uint8_t *put_capabilities(const struct ide_drive *drive, uint8_t *to)
{
    to[0] = 0x2a;
    to[1] = 18;
    to[2] = 0x3b;                                         /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
    to[6] = (uint8_t)(0x29 | (drive->cd.locked ? 2 : 0)); /* a tray that can be locked and opens */
    cd_put(to + 8, 2, 8467);                              /* kB/s: 48 times */
    cd_put(to + 10, 2, 2);
    cd_put(to + 12, 2, 512); /* KiB of buffer */
    cd_put(to + 14, 2, 8467);
    return to + 20;
}

static uint32_t mode_sense(const struct ide_drive *drive, const uint8_t *packet, uint8_t *to,
                           enum cd_sense *sense)
{
    uint8_t page = packet[2] & 0x3f, control = packet[2] >> 6, *at = to + 8;
    if (control == 3) {
        *sense = CD_NOT_SAVED;
        return 0;
    }
    if (page != 0x01 && page != 0x2a && page != 0x3f) {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    if (page != 0x2a)
        at = put_recovery(at);
    if (page != 0x01)
        at = put_capabilities(drive, at);
    if (control == 1) /* which bits can be changed: none */
        for (uint8_t *p = to + 8; p < at; p += p[1] + 2)
            memset(p + 2, 0, p[1]);
    cd_put(to, 2, (uint32_t)(at - to) - 2);
    to[2] = cd_loaded(drive) ? 0x01 : drive->cd.open ? 0x71 : 0x70;
    return (uint32_t)(at - to);
}

/* --- the disc -------------------------------------------------------------------------------------------------- */

/* READ DISC INFORMATION, MMC-5 6.22: complete and closed, one session. */
static uint32_t disc_information(const uint8_t *packet, uint8_t *to, enum cd_sense *sense)
{
    if (packet[1] & 7) {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    cd_put(to, 2, 32);
    to[2] = 0x0e;
    to[3] = to[4] = to[5] = to[6] = 1; /* first track, sessions, first and last track of the last */
    to[7] = 0x20;                      /* may be used without restriction */
    memset(to + 16, 0xff, 8);          /* nothing can be added */
    return 34;
}

/* READ TRACK INFORMATION, MMC-5 6.31: of the one track, by address, track or session. */
static uint32_t track_information(const struct ide_drive *drive, const uint8_t *packet, uint8_t *to,
                                  enum cd_sense *sense)
{
    uint8_t kind = packet[1] & 3;
    uint32_t number = cd_get(packet + 2, 4);
    bool there = kind == 0 ? number < cd_sectors(drive) : kind != 3 && number == 1;
    if (!there) {
        *sense = CD_BAD_FIELD;
        return 0;
    }
    cd_put(to, 2, 34);
    to[2] = to[3] = 1;
    to[5] = 4; /* a data track */
    to[6] = 1; /* mode 1 */
    cd_put(to + 24, 4, cd_sectors(drive));
    return 36;
}

/* MECHANISM STATUS, MMC-5 6.8: no changer. */
static uint32_t mechanism_status(const struct ide_drive *drive, uint8_t *to)
{
    to[1] = drive->cd.open ? 0x10 : 0;
    to[5] = 1; /* slots */
    return 8;
}

bool cd_reply(struct ide_drive *drive, const uint8_t *packet, uint8_t *to, uint32_t *length,
              uint32_t *room, enum cd_sense *sense)
{
    *room = cd_get(packet + 7, 2);
    switch (packet[0]) {
    case 0x03:
        *room = packet[4];
        *length = request_sense(drive, to);
        break;
    case 0x12:
        *room = cd_get(packet + 3, 2);
        *length = inquiry(packet, to, sense);
        break;
    case 0x25:
        *room = 8;
        *length = read_capacity(drive, to);
        break;
    case 0x43: *length = read_toc(drive, packet, to, sense); break;
    case 0x46: *length = get_configuration(drive, packet, to, sense); break;
    case 0x4a: *length = get_event(drive, packet, to, sense); break;
    case 0x51: *length = disc_information(packet, to, sense); break;
    case 0x52: *length = track_information(drive, packet, to, sense); break;
    case 0x5a: *length = mode_sense(drive, packet, to, sense); break;
    case 0xbd:
        *room = cd_get(packet + 8, 2);
        *length = mechanism_status(drive, to);
        break;
    default: return false;
    }
    return true;
}
