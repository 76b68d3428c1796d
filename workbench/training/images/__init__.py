"""Images: folders listed, files decoded and cached, splits drawn, data sets opened."""
