// Package windows simulates Windows PCs. A PC holds a real RSA key, enrols by MS-MDE2 (discovery, MS-XCEP policy, MS-WSTEP) and is managed over
// OMA-DM sessions (MS-MDM) as strictly as a real one: it refuses what Windows refuses, so a server that satisfies it has kept to the
// protocol. Its codecs are its own. What a PC answers can be scripted (Rule), its requests forged (SessionOptions.Forge) and the network
// in between broken (devicesim.Network).
//
//	pc, err := windows.New(windows.Options{Hardware: windows.Laptop("SIM", 1), Roots: roots})
//	err = pc.EnrollWithPassword(ctx, "https://mdm.example.com", "ada@example.com", token)
//	_, err = pc.Session(ctx, windows.SessionOptions{}) // until the server has no more commands
//	node, ok := pc.Node("./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera")
package windows
