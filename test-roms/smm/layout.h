/* layout.h: numbers that both the handler and C need. */
#ifndef TEST_ROMS_SMM_LAYOUT_H
#define TEST_ROMS_SMM_LAYOUT_H

#define SMBASE_RESET 0x30000
#define SMM_CODE_AT 0x8000 /* from SMBASE: where SMI starts */
#define SMM_HOOK_AT 0x9000 /* what a test adds */
#define SMM_AREA_AT 0xfe00
#define SMM_AREA_BYTES 512
#define SMM_PATCHES 8

/* Offsets in struct smm_seen. */
#define SEEN_ENTRIES 0
#define SEEN_CR0 4
#define SEEN_CR3 8
#define SEEN_CR4 12
#define SEEN_EFER 16
#define SEEN_EFLAGS 20
#define SEEN_DR6 24
#define SEEN_DR7 28
#define SEEN_SEGMENTS 32 /* CS DS ES SS FS GS */
#define SEEN_ID 44
#define SEEN_RESULT 48 /* four numbers of the hook */
#define SEEN_PATCHES 64
#define SEEN_PATCH 68 /* offset, value */

#endif
