/* Files behind disks: read where the guest reads, written only with snapshot=off, never made longer or shorter. */
#include "emu/cli/disk.h"

#include "emu/base/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The user gets one line for a file; the guest gets every error. */
static bool tell(struct disk_file *file, const char *what, uint64_t offset, int error)
{
    if (!file->told)
        (void)fprintf(stderr, "pacifica: %s: %s at byte %" PRIu64 " failed: %s\n", file->path, what,
                      offset, error ? strerror(error) : "the file has become shorter");
    file->told = true;
    return false;
}

static bool read_at(void *self, uint64_t offset, void *to, size_t size)
{
    struct disk_file *file = self;
    for (uint8_t *at = to; size;) {
        ssize_t got = pread(file->fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return tell(file, "reading", offset, got < 0 ? errno : 0);
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

/* Is it still as long as it was? Writing behind its end would make it longer. */
static bool reaches(struct disk_file *file, uint64_t end)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return tell(file, "writing", end, errno);
    if (S_ISREG(status.st_mode) && (uint64_t)status.st_size < end)
        return tell(file, "writing", end, 0);
    return true;
}

static bool write_at(void *self, uint64_t offset, const void *from, size_t size)
{
    struct disk_file *file = self;
    bool good = reaches(file, offset + size);
    for (const uint8_t *at = from; good && size;) {
        ssize_t put = pwrite(file->fd, at, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            good = tell(file, "writing", offset, put < 0 ? errno : EIO);
        } else {
            at += put;
            offset += (uint64_t)put;
            size -= (size_t)put;
        }
    }
    file->failed = file->failed || !good;
    return good;
}

static bool flush(void *self)
{
    struct disk_file *file = self;
    if (fsync(file->fd) == 0)
        return true;
    file->failed = true;
    return tell(file, "flushing", 0, errno);
}

/* A write found no memory. */
static void full(void *self)
{
    struct disk_file *file = self;
    if (!file->told)
        (void)fprintf(
            stderr,
            "pacifica: %s: no more memory for what is written (snapshot-max=SIZE gives more, "
            "snapshot=off writes to the file)\n",
            file->path);
    file->told = true;
}

/* --- opening ------------------------------------------------------------------------------------- */

/* Images of other kinds, which would be nonsense as raw ones. */
static const char *other_format(int fd)
{
    static const struct {
        const char *magic, *name;
    } row[] = {
        { "QFI\xfb", "a qcow2" }, { "KDMV", "a VMDK" },   { "vhdxfile", "a VHDX" },
        { "conectix", "a VHD" },  { "<<< Ora", "a VDI" },
    };
    char head[8] = { 0 };
    if (pread(fd, head, sizeof(head), 0) < 0)
        return NULL;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (memcmp(head, row[i].magic, strlen(row[i].magic)) == 0)
            return row[i].name;
    return NULL;
}

static enum pacifica_status io_error(const char *path, struct pacifica_diag *diag)
{
    return diag_set(diag, PACIFICA_EIO, path, NULL, "%s", strerror(errno));
}

/* Nobody else writes it while it is used, if others keep to locks. A file system may have none. */
static enum pacifica_status lock(const struct disk_file *file, struct pacifica_diag *diag)
{
    if (flock(file->fd, (file->writes ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return PACIFICA_OK;
    return diag_set(diag, PACIFICA_EIO, file->path, NULL, "another program %s it",
                    file->writes ? "uses" : "writes");
}

/* Fill disk->size_bytes with a size that makes sense. */
static enum pacifica_status measure(const struct disk_file *file, const struct cli_drive *drive,
                                    struct pacifica_disk *disk, struct pacifica_diag *diag)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return io_error(file->path, diag);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return diag_set(diag, PACIFICA_EFORMAT, file->path, NULL, "neither a file nor a disk");
    off_t size = lseek(file->fd, 0, SEEK_END);
    if (size < 0)
        return io_error(file->path, diag);
    if (size == 0)
        return diag_set(diag, PACIFICA_EFORMAT, file->path, NULL, "the image is empty");
    if (file->writes && size % 512)
        return diag_set(diag, PACIFICA_EFORMAT, file->path, "snapshot=on or readonly=on takes it",
                        "%jd bytes are no whole sectors: snapshot=off could not write the last",
                        (intmax_t)size);
    const char *format = drive->format ? NULL : other_format(file->fd);
    if (format)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, file->path,
                        "qemu-img convert -O raw makes it raw; format=raw takes it as it is",
                        "%s image: not there yet", format);
    disk->size_bytes = (uint64_t)size;
    return PACIFICA_OK;
}

enum pacifica_status disk_open(struct disk_file *file, const struct cli_drive *drive,
                               struct pacifica_disk *disk, struct pacifica_diag *diag)
{
    bool read_only = drive->read_only || drive->cdrom;
    *disk = (struct pacifica_disk){ .interface = drive->interface,
                                    .cdrom = drive->cdrom,
                                    .index = drive->index,
                                    .read_only = read_only,
                                    .serial = drive->serial };
    if (!drive->path)
        return PACIFICA_OK; /* no disc */
    *file = (struct disk_file){ .path = drive->path, .writes = drive->through && !read_only };
    file->fd = open(drive->path, (file->writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return io_error(drive->path, diag);
    file->open = true;
    enum pacifica_status status = measure(file, drive, disk, diag);
    if (status == PACIFICA_OK)
        status = lock(file, diag);
    if (status != PACIFICA_OK) {
        (void)close(file->fd);
        file->open = false;
        return status;
    }
    disk->write_through = file->writes;
    disk->read = read_at;
    disk->write = write_at;
    disk->flush = flush;
    disk->full = full;
    disk->memory_most = drive->memory_most;
    disk->self = file;
    return PACIFICA_OK;
}

enum pacifica_status disk_close(struct disk_file *file, struct pacifica_diag *diag)
{
    if (!file->open)
        return PACIFICA_OK;
    file->open = false;
    bool failed = file->writes && fsync(file->fd) != 0;
    failed = close(file->fd) != 0 || failed || file->failed;
    return failed ? diag_set(diag, PACIFICA_EIO, file->path, NULL, "writing failed") : PACIFICA_OK;
}
