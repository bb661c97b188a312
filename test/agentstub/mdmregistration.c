/* Stands in for Windows' mdmregistration.dll, which Wine does not have. A call is recorded as the function and its arguments in UTF-8, separated by tabs. It
 * returns the HRESULT that stands, in hexadecimal, in C:\agentstub\result; S_OK if there is no such file. */
#include <stdio.h>
#include <stdlib.h>

#include "record.h"

static const char *utf8(const WCHAR *text, char *out, int size)
{
    if (text == NULL)
        return "NULL";
    return WideCharToMultiByte(CP_UTF8, 0, text, -1, out, size, NULL, NULL) ? out : "unreadable";
}

static HRESULT answer(const char *line)
{
    char text[16] = "0";
    FILE *file;
    HRESULT recorded = record(line);
    if (FAILED(recorded))
        return recorded;
    file = fopen(FOLDER "result", "rb");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    return (HRESULT)strtoul(text, NULL, 16);
}

__declspec(dllexport) HRESULT WINAPI RegisterDeviceWithManagement(LPCWSTR upn, LPCWSTR url, LPCWSTR token)
{
    char line[8192], a[512], b[2048], c[4096];
    snprintf(line, sizeof line, "RegisterDeviceWithManagement\t%s\t%s\t%s\n", utf8(upn, a, sizeof a), utf8(url, b, sizeof b), utf8(token, c, sizeof c));
    return answer(line);
}

__declspec(dllexport) HRESULT WINAPI UnregisterDeviceWithManagement(LPCWSTR enrolment)
{
    char line[1024], a[512];
    snprintf(line, sizeof line, "UnregisterDeviceWithManagement\t%s\n", utf8(enrolment, a, sizeof a));
    return answer(line);
}
