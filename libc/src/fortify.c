/* What Debian's libraries call when they were compiled with _FORTIFY_SOURCE: the plain function,
 * after a look at the room. */
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int byte, size_t size, size_t room);

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room)
        abort();
    return memcpy(to, from, size);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room)
        abort();
    return memmove(to, from, size);
}

void *__memset_chk(void *to, int byte, size_t size, size_t room)
{
    if (size > room)
        abort();
    return memset(to, byte, size);
}
