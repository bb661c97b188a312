package enroll

import "testing"

func TestRecogniseReadsTheUserAgent(t *testing.T) {
	const (
		mac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
		iPhone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) "
		iPad    = "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) "
		webKit  = "AppleWebKit/605.1.15 (KHTML, like Gecko) "
		windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
	)
	for name, c := range map[string]struct {
		userAgent string
		want      visitor
	}{
		"Safari on a Mac or an iPad": {mac + webKit + "Version/18.5 Safari/605.1.15", visitor{platformMac, "Mac", true, false}},
		"Chrome on a Mac":            {mac + "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36", visitor{platformMac, "Mac", false, false}},
		"Firefox on a Mac":           {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:139.0) Gecko/20100101 Firefox/139.0", visitor{platformMac, "Mac", false, false}},
		"Safari on an iPhone":        {iPhone + webKit + "Version/18.5 Mobile/15E148 Safari/604.1", visitor{platformIOS, "iPhone", false, false}},
		"Safari on an old iPad":      {iPad + webKit + "Version/12.1.2 Mobile/15E148 Safari/604.1", visitor{platformIOS, "iPad", false, false}},
		"Chrome on an iPhone":        {iPhone + webKit + "CriOS/137.0.7151.51 Mobile/15E148 Safari/604.1", visitor{platformIOS, "iPhone", false, true}},
		"Firefox on an iPhone":       {iPhone + webKit + "FxiOS/139.0 Mobile/15E148 Safari/605.1.15", visitor{platformIOS, "iPhone", false, true}},
		"Edge on an iPad":            {mac + webKit + "Version/18.0 EdgiOS/137.0.3296.57 Safari/605.1.15", visitor{platformIOS, "iPad", false, true}},
		"a view in an application":   {iPhone + webKit + "Mobile/15E148", visitor{platformIOS, "iPhone", false, true}},
		"Facebook on an iPhone":      {iPhone + webKit + "Mobile/15E148 Safari/604.1 [FBAN/FBIOS;FBAV/510.0]", visitor{platformIOS, "iPhone", false, true}},
		"Edge on a PC":               {windows + "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0", visitor{platformWindows, "Windows PC", false, false}},
		"Firefox on a PC":            {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0", visitor{platformWindows, "Windows PC", false, false}},
		"a Windows phone":            {"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; iPhone) Edge/15", visitor{}},
		"Android":                    {"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/137.0.0.0 Mobile Safari/537.36", visitor{}},
		"Linux":                      {"Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0", visitor{}},
		"a Chromebook":               {"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/137.0.0.0 Safari/537.36", visitor{}},
		"nothing":                    {"", visitor{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := recognise(c.userAgent); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
