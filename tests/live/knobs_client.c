/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A management tool in C, built with the installed headers and pkg-config file:
 * calls one of the functions about the host's power and prints what it gave.
 *
 * usage: knobs-client [--readonly] URI FUNCTION [TARGET [NAME=VALUE]...]
 *
 * FUNCTION is what follows "virNode", TARGET the CPUs or the zone, or "-".
 * VALUE is a number of the API's unit, on, off, or a string; of SetGovernor
 * the name is "governor". "restore" and "all-packages" are flags.
 *
 * Prints NAME=VALUE lines and ends with 0, or "error CODE: MESSAGE" and 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct order {
    const char* target;
    const char* governor;
    virTypedParameterPtr params;
    int nparams;
    int max;
    unsigned int flags;
};

static void quiet(void* opaque, virErrorPtr error) {
    (void)opaque;
    (void)error;
}

static int take(struct order* order, char* argument) {
    char* value = strchr(argument, '=');
    char* end;
    unsigned long long number;

    if (!strcmp(argument, "restore")) {
        order->flags |= VIR_NODE_POWER_RESTORE;
        return 0;
    }
    if (!strcmp(argument, "all-packages")) {
        order->flags |= VIR_NODE_POWER_ALL_PACKAGES;
        return 0;
    }
    if (!value) return -1;
    *value++ = '\0';
    if (!strcmp(argument, VIR_NODE_GOVERNOR_NAME)) {
        order->governor = value;
        return 0;
    }
    if (!strcmp(value, "on") || !strcmp(value, "off"))
        return virTypedParamsAddBoolean(&order->params, &order->nparams, &order->max, argument,
                                        !strcmp(value, "on"));
    errno = 0;
    number = strtoull(value, &end, 10);
    if (!errno && *value && !*end)
        return virTypedParamsAddULLong(&order->params, &order->nparams, &order->max, argument, number);
    return virTypedParamsAddString(&order->params, &order->nparams, &order->max, argument, value);
}

static int call(virConnectPtr conn, const char* function, struct order* order, virTypedParameterPtr* result,
                int* nresult) {
    if (!strcmp(function, "GetGovernor"))
        return virNodeGetGovernor(conn, order->target, result, nresult, order->flags);
    if (!strcmp(function, "SetGovernor"))
        return virNodeSetGovernor(conn, order->target, order->governor, result, nresult, order->flags);
    if (!strcmp(function, "GetFrequency"))
        return virNodeGetFrequency(conn, order->target, result, nresult, order->flags);
    if (!strcmp(function, "SetFrequency"))
        return virNodeSetFrequency(conn, order->target, order->params, order->nparams, result, nresult,
                                   order->flags);
    if (!strcmp(function, "GetRaplLimit"))
        return virNodeGetRaplLimit(conn, order->target, result, nresult, order->flags);
    if (!strcmp(function, "SetRaplLimit"))
        return virNodeSetRaplLimit(conn, order->target, order->params, order->nparams, result, nresult,
                                   order->flags);
    if (!strcmp(function, "GetEnergyStats"))
        return virNodeGetEnergyStats(conn, result, nresult, order->flags);
    fprintf(stderr, "no such function: %s\n", function);
    exit(2);
}

static void print(const virTypedParameter* param) {
    printf("%s=", param->field);
    switch (param->type) {
        case VIR_TYPED_PARAM_INT:
            printf("%d\n", param->value.i);
            break;
        case VIR_TYPED_PARAM_UINT:
            printf("%u\n", param->value.ui);
            break;
        case VIR_TYPED_PARAM_LLONG:
            printf("%lld\n", param->value.l);
            break;
        case VIR_TYPED_PARAM_ULLONG:
            printf("%llu\n", param->value.ul);
            break;
        case VIR_TYPED_PARAM_DOUBLE:
            printf("%f\n", param->value.d);
            break;
        case VIR_TYPED_PARAM_BOOLEAN:
            printf("%s\n", param->value.b ? "on" : "off");
            break;
        case VIR_TYPED_PARAM_STRING:
            printf("%s\n", param->value.s);
            break;
        default:
            printf("?\n");
            break;
    }
}

static int failed(void) {
    virErrorPtr error = virGetLastError();

    if (error)
        printf("error %d: %s\n", error->code, error->message);
    else
        printf("error 0: none was set\n");
    return 1;
}

int main(int argc, char** argv) {
    int readonly = argc > 1 && !strcmp(argv[1], "--readonly");
    char** words = argv + 1 + readonly;
    int nwords = argc - 1 - readonly;
    struct order order = {0};
    virTypedParameterPtr result = NULL;
    virConnectPtr conn;
    int nresult = 0;
    int status = 0;

    if (nwords < 2) {
        fprintf(stderr, "usage: knobs-client [--readonly] URI FUNCTION [TARGET [NAME=VALUE]...]\n");
        return 2;
    }
    if (virInitialize() < 0) return failed();
    virSetErrorFunc(NULL, quiet);
    for (int i = 3; i < nwords; i++)
        if (take(&order, words[i]) < 0) {
            fprintf(stderr, "not understood: %s\n", words[i]);
            return 2;
        }
    if (nwords > 2 && strcmp(words[2], "-") != 0) order.target = words[2];
    conn = readonly ? virConnectOpenReadOnly(words[0]) : virConnectOpen(words[0]);
    if (!conn) return failed();
    if (call(conn, words[1], &order, &result, &nresult) < 0) {
        status = failed();
        if (result || nresult) printf("and yet there is a result\n");
    }
    for (int i = 0; !status && i < nresult; i++) print(&result[i]);
    virTypedParamsFree(result, nresult);
    virTypedParamsFree(order.params, order.nparams);
    virConnectClose(conn);
    return status;
}
