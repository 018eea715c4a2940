/* --screendump-at: PNG by libpng, text from code page 437. */
#include "emu/cli/screen.h"

#include "emu/base/diag.h"
#include "emu/cli/files.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

/* Code page 437: what a VGA's own font shows for the characters that are not ASCII. */
static const uint16_t low[32] = { ' ',    0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022,
                                  0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a, 0x266b, 0x263c,
                                  0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8,
                                  0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc };
static const uint16_t high[129] = {
    0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8,
    0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb,
    0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3,
    0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab,
    0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551,
    0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e,
    0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565,
    0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590,
    0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9,
    0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7,
    0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0
};

static unsigned code_point(uint8_t character)
{
    if (character < 32)
        return low[character];
    return character < 127 ? character : high[character - 127];
}

static void put_utf8(FILE *stream, unsigned point)
{
    if (point < 0x80) {
        (void)fputc((int)point, stream);
        return;
    }
    if (point < 0x800) {
        (void)fputc((int)(0xc0 | point >> 6), stream);
    } else {
        (void)fputc((int)(0xe0 | point >> 12), stream);
        (void)fputc((int)(0x80 | (point >> 6 & 0x3f)), stream);
    }
    (void)fputc((int)(0x80 | (point & 0x3f)), stream);
}

/* Lines without the spaces at their ends. */
static void put_cells(FILE *stream, const struct pacifica_screen *screen, const uint16_t *cells)
{
    for (unsigned row = 0; row < screen->rows; row++, cells += screen->columns) {
        unsigned length = screen->columns;
        while (length > 0 && ((cells[length - 1] & 0xff) == ' ' || !(cells[length - 1] & 0xff)))
            length--;
        for (unsigned i = 0; i < length; i++)
            put_utf8(stream, code_point((uint8_t)cells[i]));
        (void)fputc('\n', stream);
    }
}

static enum pacifica_status save_text(const struct pacifica_machine *machine,
                                      const struct pacifica_screen *screen, const char *path,
                                      struct pacifica_diag *diag)
{
    if (!screen->columns || !screen->rows)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, path,
                        "a name that ends in .png gets a picture", "the screen is in no text mode");
    uint16_t *cells = calloc((size_t)screen->columns * screen->rows, sizeof(*cells));
    if (!cells)
        return diag_set(diag, PACIFICA_ENOMEM, path, NULL, "no memory for the text");
    struct output_file file = { 0 };
    enum pacifica_status status = output_open(&file, path, diag);
    if (status == PACIFICA_OK) {
        pacifica_machine_text(machine, screen, cells);
        put_cells(file.stream, screen, cells);
        status = output_close(&file, diag);
    }
    free(cells);
    return status;
}

static enum pacifica_status save_picture(const struct pacifica_machine *machine,
                                         const struct pacifica_screen *screen, const char *path,
                                         struct pacifica_diag *diag)
{
    size_t count = (size_t)screen->width * screen->height;
    uint32_t *pixels = malloc(count * sizeof(*pixels));
    uint8_t *rgb = malloc(count * 3);
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = screen->width,
                        .height = screen->height,
                        .format = PNG_FORMAT_RGB };
    enum pacifica_status status = PACIFICA_OK;
    if (pixels && rgb) {
        pacifica_machine_draw(machine, screen, pixels);
        for (size_t i = 0; i < count; i++)
            for (unsigned part = 0; part < 3; part++)
                rgb[3 * i + part] = (uint8_t)(pixels[i] >> (16 - 8 * part));
        if (!png_image_write_to_file(&image, path, 0, rgb, 0, NULL))
            status =
                diag_set(diag, PACIFICA_EIO, path, NULL, "cannot be written: %s", image.message);
    } else {
        status = diag_set(diag, PACIFICA_ENOMEM, path, NULL, "no memory for the picture");
    }
    free(pixels);
    free(rgb);
    return status;
}

enum pacifica_status screen_save(const struct pacifica_machine *machine, const char *path,
                                 struct pacifica_diag *diag)
{
    struct pacifica_screen screen;
    if (pacifica_machine_screen(machine, &screen) != PACIFICA_OK)
        return diag_set(diag, PACIFICA_EUNSUPPORTED, path, "-vga std adds one",
                        "there is no screen");
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".txt") == 0
               ? save_text(machine, &screen, path, diag)
               : save_picture(machine, &screen, path, diag);
}
