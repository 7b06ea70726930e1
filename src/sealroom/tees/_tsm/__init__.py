"""Linux configfs-tsm, through which guests of several TEEs ask for evidence. Private to `sealroom.tees`."""
