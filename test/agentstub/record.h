/* How the stand-ins tell what they were called with: each call is one line of C:\agentstub\calls. */
#include <windows.h>

#define FOLDER "C:\\agentstub\\"

/* One write per line, so that whoever reads the file sees whole lines. */
static HRESULT record(const char *line)
{
    DWORD written;
    HRESULT result = S_OK;
    HANDLE file = CreateFileA(FOLDER "calls", FILE_APPEND_DATA, FILE_SHARE_READ, NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return HRESULT_FROM_WIN32(GetLastError());
    if (!WriteFile(file, line, lstrlenA(line), &written, NULL))
        result = HRESULT_FROM_WIN32(GetLastError());
    CloseHandle(file);
    return result;
}
