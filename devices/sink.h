/* Where a character device's output goes. */
#ifndef DEVICES_SINK_H
#define DEVICES_SINK_H

#include <stdint.h>

struct byte_sink {
    void (*put)(void *self, uint8_t byte); /* NULL: thrown away */
    void *self;
};

static inline void sink_put(const struct byte_sink *sink, uint8_t byte)
{
    if (sink->put)
        sink->put(sink->self, byte);
}

#endif
