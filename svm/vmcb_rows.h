/* The rows of svm/vmcb_fields.def by their use: who includes this, in the body of a function and more than once, has defined
 * MOVE_<use>(name, home, how) for what it moves. The other rows give nothing; the definitions end here. No guard. */
#ifndef MOVE_ENTRY
#define MOVE_ENTRY(name, home, how)
#endif
#ifndef MOVE_EXIT
#define MOVE_EXIT(name, home, how)
#endif
#ifndef MOVE_SWITCH
#define MOVE_SWITCH(name, home, how)
#endif
#ifndef MOVE_WORLD
#define MOVE_WORLD(name, home, how)
#endif
#ifndef MOVE_GUEST
#define MOVE_GUEST(name, home, how)
#endif
#ifndef MOVE_SHADOW
#define MOVE_SHADOW(name, home, how)
#endif
#ifndef MOVE_LBR
#define MOVE_LBR(name, home, how)
#endif
#ifndef MOVE_PMC
#define MOVE_PMC(name, home, how)
#endif
#ifndef MOVE_PMC_WORLD
#define MOVE_PMC_WORLD(name, home, how)
#endif
#ifndef MOVE_MOVED
#define MOVE_MOVED(name, home, how)
#endif
#ifndef MOVE_OFF
#define MOVE_OFF(name, home, how)
#endif

#define VMCB_FIELD(area, name, offset, bytes, show, use, clean, home, how) \
    MOVE_##use(name, home, how)
#include "svm/vmcb_fields.def"
#undef VMCB_FIELD

#undef MOVE_ENTRY
#undef MOVE_EXIT
#undef MOVE_SWITCH
#undef MOVE_WORLD
#undef MOVE_GUEST
#undef MOVE_SHADOW
#undef MOVE_LBR
#undef MOVE_PMC
#undef MOVE_PMC_WORLD
#undef MOVE_MOVED
#undef MOVE_OFF
