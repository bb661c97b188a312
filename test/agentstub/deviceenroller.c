/* Stands in for Windows' deviceenroller.exe, which starts management sessions: its arguments are recorded, separated by tabs. */
#include <stdio.h>

#include "record.h"

int main(int argc, char **argv)
{
    char line[1024];
    int length = snprintf(line, sizeof line, "deviceenroller");
    for (int i = 1; i < argc && length < (int)sizeof line - 64; i++)
        length += snprintf(line + length, sizeof line - length, "\t%.60s", argv[i]);
    line[length] = '\n';
    line[length + 1] = 0;
    return FAILED(record(line));
}
