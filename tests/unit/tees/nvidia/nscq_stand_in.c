/* A library with the interface of libnvidia-nscq.so.2, and no switches behind it: what is asked goes to a function that
 * the test gives. Compiled by the test, so that structures by value and calls back go through a real compiler's ABI. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint8_t octets[16]; } uuid;
typedef struct { uint8_t nonce[64]; uint32_t nonce_size; } session;
typedef struct { int8_t code; session *held; } session_result;
typedef struct { uint32_t size; uint8_t content[0x2000]; } report;
typedef struct { uint8_t content[0x1400]; uint32_t size; } certificates;

/* number of the switch, question, nonce, its size, where to write, how much fits: what the size field is to say */
typedef uint32_t (*answering)(int, const char *, const uint8_t *, uint32_t, uint8_t *, uint32_t);

static answering answer;
static int switches, open_sessions, most_sessions, times = 1;
static int8_t of_session, of_question, of_call;
static int8_t mode = 3;

void stand_in(answering given, int count) { answer = given; switches = count; }
void stand_in_codes(int session_code, int question_code, int call_code) {
    of_session = session_code; of_question = question_code; of_call = call_code;
}
void stand_in_mode(int value) { mode = value; }
void stand_in_times(int count) { times = count; }
int stand_in_open(void) { return open_sessions; }
int stand_in_most(void) { return most_sessions; }

session_result nscq_session_create(uint32_t flags) {
    session_result made = {of_session, NULL};
    if (of_session >= 0 && flags == 1) made.held = calloc(1, sizeof(session));
    if (made.held && ++open_sessions > most_sessions) most_sessions = open_sessions;
    return made;
}

void nscq_session_destroy(session *held) { free(held); open_sessions--; }

int8_t nscq_uuid_to_label(const uuid *one, char *label, uint32_t flags) {
    if (flags) return -5;
    memset(label, 0, 64);
    snprintf(label, 64, "label-%02d", one->octets[15]);
    return 0;
}

#ifndef OLD
int8_t nscq_session_set_input(session *held, uint32_t flags, void *input, uint32_t size) {
    if (flags || size > sizeof held->nonce) return -5;
    memcpy(held->nonce, input, size);
    held->nonce_size = size;
    return 0;
}
#endif

int8_t nscq_session_path_observe(session *held, const char *path, void *heard, void *theirs, uint32_t flags) {
    if (flags || of_question < 0) return flags ? -5 : of_question;
    if (!strcmp(path, "/drv/nvswitch/{device}/uuid")) {
        for (int number = switches - 1; number >= 0; number--) {  /* in no order that helps */
            uuid one = {{0}};
            one.octets[15] = number;
            ((void (*)(const uuid *, int8_t, const uuid *, void *))heard)(&one, of_call, &one, theirs);
        }
        return of_question;
    }
    int number = -1;
    char name[32] = "";
    if (sscanf(path, "/label-%d/config/%31s", &number, name) != 2 || number < 0 || number >= switches) return -2;
    uuid one = {{0}};
    one.octets[15] = number;
    for (int time = 0; time < times; time++) {
        if (!strcmp(name, "pcie_mode")) {
            ((void (*)(const uuid *, int8_t, int8_t, void *))heard)(&one, of_call, mode, theirs);
        } else if (!strcmp(name, "attestation_report")) {
            report given = {0};
            given.size = answer(number, name, held->nonce, held->nonce_size, given.content, sizeof given.content);
            ((void (*)(const uuid *, int8_t, report, void *))heard)(&one, of_call, given, theirs);
        } else if (!strcmp(name, "certificate")) {
            certificates given = {{0}, 0};
            given.size = answer(number, name, NULL, 0, given.content, sizeof given.content);
            ((void (*)(const uuid *, int8_t, certificates, void *))heard)(&one, of_call, given, theirs);
        } else {
            return -5;
        }
    }
    return of_question;
}
