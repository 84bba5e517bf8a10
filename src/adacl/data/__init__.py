"""Reading images and video: files, folders, lists and arrays, and the samples made of them."""
