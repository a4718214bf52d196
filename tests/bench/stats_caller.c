/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks a daemon for domain stats as often as it is told, and does nothing with
 * them, so that a call costs what the daemon and the RPC cost.
 *
 * usage: stats-caller URI
 * Each line on standard input, "BITS CALLS", is answered by one of these:
 *     RECORDS PARAMETERS     of the last call; RECORDS -1: it failed
 */
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>

static void say_nothing(void* opaque, virErrorPtr error) {
    (void)opaque;
    (void)error;
}

int main(int argc, char** argv) {
    virConnectPtr connection;
    unsigned int bits;
    unsigned int calls;

    if (argc != 2) {
        fprintf(stderr, "usage: stats-caller URI\n");
        return 2;
    }
    virSetErrorFunc(NULL, say_nothing);
    connection = virConnectOpen(argv[1]);
    if (!connection) {
        fprintf(stderr, "stats-caller: %s\n", virGetLastErrorMessage());
        return 1;
    }
    while (scanf("%u %u", &bits, &calls) == 2) {
        long parameters = 0;
        int records = 0;

        for (unsigned int call = 0; call < calls && records >= 0; call++) {
            virDomainStatsRecordPtr* stats = NULL;

            records = virConnectGetAllDomainStats(connection, bits, &stats,
                                                  VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE);
            parameters = 0;
            for (int n = 0; n < records; n++) parameters += stats[n]->nparams;
            virDomainStatsRecordListFree(stats);
        }
        if (records < 0) fprintf(stderr, "stats-caller: %s\n", virGetLastErrorMessage());
        printf("%d %ld\n", records, parameters);
        fflush(stdout);
    }
    virConnectClose(connection);
    return 0;
}
