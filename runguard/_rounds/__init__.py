"""What somebody must do now and then: close lost runs, settle incidents, deliver, replay."""
