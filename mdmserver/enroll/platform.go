package enroll

import (
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// platform is one for which the page has steps, as the query of an address names it.
type platform string

const (
	platformMac     platform = "mac"
	platformIOS     platform = "ios"
	platformWindows platform = "windows"
	// platformOther is whatever the server manages no device of.
	platformOther platform = ""
)

// parsePlatform reads what a link or a form says.
func parsePlatform(s string) (platform, bool) {
	switch p := platform(s); p {
	case platformMac, platformIOS, platformWindows:
		return p, true
	}
	return platformOther, false
}

// of is the platform as tokens name it.
func (p platform) of() adminapi.Platform {
	if p == platformWindows {
		return adminapi.PlatformWindows
	}
	return adminapi.PlatformApple
}

// name is what people call one such device, plural several.
func (p platform) name() string {
	return map[platform]string{
		platformMac: "Mac", platformIOS: "iPhone or iPad", platformWindows: "Windows PC", platformOther: "device",
	}[p]
}

func (p platform) plural() string {
	return map[platform]string{
		platformMac: "Macs", platformIOS: "iPhones and iPads", platformWindows: "Windows PCs", platformOther: "devices",
	}[p]
}

// visitor is what a browser says of itself and of its device.
type visitor struct {
	platform platform
	// name is what the person calls the device.
	name string
	// perhapsIPad: Safari on an iPad says that it runs on a Mac.
	perhapsIPad bool
	// notSafari: on an iPhone or iPad, a browser that may not be able to hand a profile to the system.
	notSafari bool
}

// otherBrowsers are marks of browsers on iPhone and iPad other than Safari, and of applications that show pages themselves. Such a view without any mark
// lacks the word Safari.
var otherBrowsers = []string{
	"CriOS/", "FxiOS/", "EdgiOS/", "OPiOS/", "OPT/", "OPX/", "DuckDuckGo/", "Ddg/", "YaBrowser/", "Focus/", "Klar/", "GSA/", "Brave/", "Vivaldi/", "UCBrowser/",
	"FBAN/", "FBAV/", "FB_IAB", "Instagram", "Line/", "MicroMessenger", "LinkedInApp", "Snapchat", "Twitter", "Pinterest", "TikTok", "musical_ly",
}

// notOnAnIPad are marks of browsers that only a real Mac has.
var notOnAnIPad = []string{"Chrome/", "Firefox/", "Edg/", "OPR/"}

// recognise reads the User-Agent header.
func recognise(userAgent string) visitor {
	has := func(word string) bool { return strings.Contains(userAgent, word) }
	v := visitor{}
	switch {
	case has("Windows Phone"):
	case has("iPhone") || has("iPod"):
		v = visitor{platform: platformIOS, name: "iPhone"}
	case has("iPad"):
		v = visitor{platform: platformIOS, name: "iPad"}
	case has("Windows NT"):
		v = visitor{platform: platformWindows, name: platformWindows.name()}
	case has("Macintosh"):
		v = visitor{platform: platformMac, name: platformMac.name(), perhapsIPad: has("Safari/") && !hasAny(userAgent, notOnAnIPad)}
		if hasAny(userAgent, otherBrowsers[:4]) { // their versions for iPad
			v = visitor{platform: platformIOS, name: "iPad"}
		}
	}
	v.notSafari = v.platform == platformIOS && (hasAny(userAgent, otherBrowsers) || !has("Safari/"))
	return v
}

func hasAny(s string, words []string) bool {
	for _, word := range words {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}
