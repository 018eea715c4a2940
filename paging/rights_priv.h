/* The page-protection checks, the same for a walk and for a cached translation. */
#ifndef PAGING_RIGHTS_PRIV_H
#define PAGING_RIGHTS_PRIV_H

#include "paging/paging_priv.h"

/* Is it an access of a user? Those of shadow stacks say it themselves. */
EMU_INLINE bool access_is_user(const struct walk_regime *regime, struct access access)
{
    return !access.supervisor && (regime->cpl == 3 || access.shadow_stack);
}

/* Is the access refused by the page's protection key? APM vol 2, 5.6.7 "Memory Protection Keys (MPK) Bit". */
EMU_INLINE bool key_forbids(const struct walk_regime *regime, struct access access, bool user,
                            unsigned flags, unsigned pkey)
{
    unsigned key = (regime->pkru >> (pkey * 2)) & 3;

    if (!regime->pke || !regime_is_long(regime) || !(flags & TLB_U) || access.kind == ACCESS_EXEC)
        return false;
    return (key & 1) || ((key & 2) && access.kind == ACCESS_WRITE && (user || regime->wp));
}

/* Do NX bits allow to execute? */
EMU_INLINE bool walk_executes(unsigned flags, bool user)
{
    return !(flags & (user ? TLB_NX : TLB_NX | TLB_SUPERVISOR_NX));
}

/* A shadow stack access goes to shadow stack pages of its own level, which R/W does not protect from it. Neither does SMAP. APM
 * vol 2, 5.7.3 "Shadow Stack Protection Checks". */
static EMU_NOINLINE bool shadow_stack_allows(const struct walk_regime *regime, struct access access,
                                             unsigned flags, unsigned pkey, uint32_t *code)
{
    bool user = !access.supervisor;

    if (key_forbids(regime, access, user, flags, pkey))
        *code |= PF_PK;
    else if ((flags & TLB_SHADOW_STACK) && !(flags & TLB_U) == !user)
        return true;
    *code |= PF_P;
    return false;
}

/* May this access use a translation with these rights (TLB_*)? If not, code gets P, and PK if a
 * key is the reason. Nested rights and dirty bits are not looked at. APM vol 2, 5.6
 * "Page-Protection Checks".
 * CHOICE: PK is reported whenever the key forbids the access, also if other rights are missing. */
EMU_INLINE bool walk_allows(const struct walk_regime *regime, struct access access, unsigned flags,
                            unsigned pkey, uint32_t *code)
{
    bool user = access_is_user(regime, access);
    bool allowed = !user || (flags & TLB_U);

    if (EMU_UNLIKELY(access.shadow_stack))
        return shadow_stack_allows(regime, access, flags, pkey, code);
    if (access.kind == ACCESS_EXEC)
        allowed =
            allowed && walk_executes(flags, user) && (user || !regime->smep || !(flags & TLB_U));
    else if (!user && regime->smap && (flags & TLB_U) && (access.supervisor || !regime->ac))
        allowed = false;
    if (access.kind == ACCESS_WRITE && !(flags & TLB_W) && (user || regime->wp))
        allowed = false;
    if (EMU_UNLIKELY(regime->pke) && key_forbids(regime, access, user, flags, pkey)) {
        *code |= PF_PK;
        allowed = false;
    }
    if (!allowed)
        *code |= PF_P;
    return allowed;
}

#endif
