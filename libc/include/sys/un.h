/* Names of sockets of the local machine: unix(7). */
#ifndef VIV_SYS_UN_H
#define VIV_SYS_UN_H

#include <sys/socket.h>

struct sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};

#endif
