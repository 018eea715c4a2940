/* Scan code set 2 as codes of set 1, as the PC's keyboard controller translates them. */
#ifndef DEVICES_PS2_TRANSLATE_H
#define DEVICES_PS2_TRANSLATE_H

#include <stdint.h>

/* Codes from 85h on, and all answers, stay what they are; the prefix F0h becomes bit 7 of the code behind it. */
uint8_t ps2_translate(uint8_t code);

#endif
